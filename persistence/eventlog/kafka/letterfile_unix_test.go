//go:build unix

package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// TestAFileOfDeadLettersThatHangsHoldsNothingUp: neither partitions, nor those who
// settle, nor the end; and what it had taken is written when it goes on.
func TestAFileOfDeadLettersThatHangsHoldsNothingUp(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadTopic, cfg.DeadFile = "-", filepath.Join(t.TempDir(), "letters")
	if err := syscall.Mkfifo(cfg.DeadFile, 0o600); err != nil { // opening it waits for a reader
		t.Fatal(err)
	}
	var said lines
	cfg.Logger = said.logger()
	l := openLog(t, cfg)
	l.dead.file.patience = 50 * time.Millisecond
	value := bytes.Repeat([]byte("x"), 1<<20)
	ended := make(chan error, 1)
	go func() {
		for offset := range int64(40) { // of which 16 may wait
			l.refuse(1, &record{offset: offset, value: value}, []messages.Refusal{{Reason: "too large"}})
		}
		// Whoever settles is told: a snapshot behind these would lose them.
		if err := l.Settle(context.Background(), 1); !errors.Is(err, errFileHangs) {
			ended <- fmt.Errorf("settled: %v", err)
			return
		}
		ended <- l.Close()
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), errFileHangs.Error()) {
			t.Errorf("it is closed with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it hangs")
	}
	if said.count("could not be put aside either") == 0 {
		t.Error("nothing is said of letters that are not written")
	}
	// The write under way belongs to the disk. It ends with it.
	pipe, err := os.Open(cfg.DeadFile)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	first := make([]byte, 100)
	if _, err := io.ReadFull(pipe, first); err != nil || !bytes.Contains(first, []byte(`"topic":"events"`)) {
		t.Errorf("what comes is %q, %v", first, err)
	}
	go io.Copy(io.Discard, pipe)
	eventually(t, "the write ends", func() bool { return l.dead.file.began.Load() == 0 })
	l.dead.file.patience = testTimeout // it does not hang any more
	if err := l.dead.file.close(); err != nil {
		t.Error(err)
	}
}
