package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/persistence/eventlog"
)

// TestDamagedFilesOfTheLogAreRefusedByName damages each of the log's files in
// every way: the start names it and what to do, changes nothing, and with the
// file put back everything is counted.
func TestDamagedFilesOfTheLogAreRefusedByName(t *testing.T) {
	cfg, _, _ := faulty(t, 0)
	ground := Ground{Log: smallSegments}
	s := &tries{running: runOn(t, cfg, ground)}
	for s.core.embedded.Stats().Segments < 3 {
		if err := s.one(t); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	other, _, _ := faulty(t, 0)
	if err := run(t, other).stop(); err != nil {
		t.Fatal(err)
	}
	const first, second = "00000000000000000000.seg", "00000000000000000001.seg"
	for name, advice := range map[string]string{
		"log.meta": "put it back from a backup", "durable": "crest log verify", first: "crest log verify", second: "crest log verify",
	} {
		path := filepath.Join(cfg.Data, "log", name)
		whole := read(t, path)
		strange := map[string]string{"log.meta": "log.meta", "durable": "durable", first: second, second: first}[name]
		from := filepath.Join(cfg.Data, "log", strange)
		if strange == name {
			from = filepath.Join(other.Data, "log", strange)
		}
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 4
		if name == "durable" { // one slot is enough: both
			flipped[20] ^= 4
			flipped[4096+20] ^= 4
		}
		for what, b := range map[string][]byte{
			"missing": nil, "empty": {}, "cut off": whole[:len(whole)*2/3], "a flipped bit": flipped, "another file in its place": read(t, from),
		} {
			if name == "durable" && what == "cut off" {
				b = whole[:30]
			}
			write(t, path, b)
			n, err := newNode(context.Background(), cfg, ground)
			if err == nil {
				_ = n.Close()
				t.Errorf("%s %s: started", name, what)
			}
			var corrupt *eventlog.CorruptError
			if !errors.As(err, &corrupt) || corrupt.File != name && what != "another file in its place" ||
				!strings.Contains(err.Error(), filepath.Join(cfg.Data, "log")) || corrupt.File == name && !strings.Contains(err.Error(), advice) {
				t.Errorf("%s %s: %v", name, what, err)
			}
			if got := read(t, path); !bytes.Equal(got, b) {
				t.Errorf("%s %s: the refused start has changed it", name, what)
			}
		}
		write(t, path, whole)
	}
	s.running = runOn(t, cfg, ground)
	s.settle(t)
}

// read is a file's bytes, nil if it is missing.
func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return b
}

// write replaces a file, or with nil removes it.
func write(t *testing.T, path string, b []byte) {
	t.Helper()
	err := os.Remove(path)
	if b != nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
