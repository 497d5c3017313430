package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// TestNobodyWaitsForATopicThatTakesNoLetters: without a file letters wait for their
// topic as long as it takes. Whoever settles those of a partition is told so, others
// have nothing to wait for, and once the topic takes them they are all there.
func TestNobodyWaitsForATopicThatTakesNoLetters(t *testing.T) {
	dead := brokerTopic + "-dead-letters"
	for name, fault := range map[string]kfake.Fault{
		"may not be made":            {Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1},
		"may not be written":         {Keys: []kmsg.Key{kmsg.Produce}, Topic: dead, Err: kerr.TopicAuthorizationFailed, Count: -1},
		"does not find its replicas": {Keys: []kmsg.Key{kmsg.Produce}, Topic: dead, Err: kerr.NotEnoughReplicas, Count: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			l := openLog(t, writerConfig(b))
			l.dead.pause = 50 * time.Millisecond // before the first letter
			injected := b.Fault(fault)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for offset := range int64(10) {
				l.refuse(3, &record{offset: offset, value: []byte("v")}, []messages.Refusal{{Reason: "no"}})
			}
			if err := l.Settle(ctx, 2); err != nil {
				t.Errorf("a partition that has none: %v", err)
			}
			for range 2 { // they are tried again meanwhile
				if err := l.Settle(ctx, 3); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "wait for topic "+dead) {
					t.Fatalf("the partition that has some: %v", err)
				}
			}
			injected.Remove()
			eventually(t, "the letters are settled", func() bool { return l.Settle(ctx, 3) == nil })
			l.dead.mu.Lock()
			if l.dead.stuck != nil {
				t.Errorf("the next one would be told: %v", l.dead.stuck)
			}
			l.dead.mu.Unlock()
			if got := lettersIn(t, b); len(got) != 10 {
				t.Errorf("%d letters in the topic, want 10", len(got))
			}
		})
	}
}

// TestALetterThatItsTopicRefusesHoldsNoOtherUp: what is wrong is the letter's own,
// and trying it again would bring the same for ever.
func TestALetterThatItsTopicRefusesHoldsNoOtherUp(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.InvalidTimestamp, kerr.InvalidRecord} {
		t.Run(refusal.Message, func(t *testing.T) {
			b := newBroker(t)
			cfg := writerConfig(b)
			cfg.Compression = "none"
			var said lines
			cfg.Logger = said.logger()
			l := openLog(t, cfg)
			b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: refusal, Count: -1, When: func(req kmsg.Request) bool {
				return bytes.Contains(req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records, []byte("poison"))
			}})
			for offset := range int64(9) {
				r := &record{offset: offset, value: []byte("v")}
				if offset == 4 {
					r.value = []byte("poison")
				}
				l.refuse(1, r, []messages.Refusal{{Reason: "no"}})
			}
			settle(t, l)
			if got := lettersIn(t, b); len(got) != 8 {
				t.Errorf("%d letters in the topic, want 8", len(got))
			}
			if n := said.count("could not be put aside either"); n != 1 {
				t.Errorf("%d letters are told of, want 1:\n%s", n, said.b.String())
			}
		})
	}
}

// TestALogWithLettersThatWaitIsClosedInTime, whenever their topic is to be tried
// again.
func TestALogWithLettersThatWaitIsClosedInTime(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	l.dead.pause = time.Hour
	l.refuse(0, &record{offset: 7, value: []byte("v")}, []messages.Refusal{{Reason: "no"}})
	if err := l.Settle(t.Context(), 0); err == nil {
		t.Fatal("they are written")
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is not closed after a minute")
	}
	if err := l.Settle(t.Context(), 0); err == nil {
		t.Error("what was given up at the end is settled")
	}
}

// TestACloseTriesItsLettersOnceMore, whenever their topic is to be tried again.
func TestACloseTriesItsLettersOnceMore(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	denied := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	l.dead.pause = time.Hour
	l.refuse(0, &record{offset: 7, value: []byte("v")}, []messages.Refusal{{Reason: "no"}})
	if err := l.Settle(t.Context(), 0); err == nil {
		t.Fatal("they are written")
	}
	denied.Remove()
	began := time.Now()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	// A close that had no more time has tried, and may have tried in vain.
	if took := time.Since(began); len(lettersIn(t, b)) == 0 && took < drainTimeout {
		t.Errorf("no letter is written by a close that took %v", took)
	}
}

// TestNothingIsSentBehindTheEndOfItsContext: nobody would hear what became of it.
func TestNothingIsSentBehindTheEndOfItsContext(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	l.refuse(0, &record{offset: 7, value: []byte("v")}, []messages.Refusal{{Reason: "no"}})
	settle(t, l) // there is a connection
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for offset := range int64(100) {
		again := letter{partition: 1, offset: offset, record: &record{offset: offset}}
		l.dead.encoder.reset() // its own goroutine is idle
		again.encodeTo(l.dead.encoder)
		batch, err := l.dead.encoder.seal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.client.produce(ctx, l.dead.topic, 0, batch); !errors.Is(err, context.Canceled) {
			t.Fatalf("letter %d: %v", offset, err)
		}
	}
	if err := l.Close(); err != nil { // and the connections with it
		t.Error(err)
	}
	if got := lettersIn(t, b); len(got) != 1 || string(got[0].Key) != "0/7/0" {
		t.Errorf("%d letters, want the first one", len(got))
	}
}

// TestLettersWaitForTheirFile: one that cannot be written is tried again, and
// meanwhile whoever settles is told; no letter is left out, and none is there twice.
func TestLettersWaitForTheirFile(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	folder := filepath.Join(t.TempDir(), "later")
	cfg.DeadTopic, cfg.DeadFile = "-", filepath.Join(folder, "letters")
	l := openLog(t, cfg)
	l.dead.pause = 50 * time.Millisecond // before the first letter
	const n = 10
	for offset := range int64(n) {
		l.refuse(messages.Partition(offset%2), &record{offset: offset}, []messages.Refusal{{Reason: "no"}})
	}
	for p := range messages.Partition(2) {
		if err := l.Settle(t.Context(), p); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "they wait for file "+cfg.DeadFile) {
			t.Errorf("partition %d: settled: %v", p, err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for p := range messages.Partition(2) {
		eventually(t, "they are written", func() bool { return l.Settle(t.Context(), p) == nil })
	}
	text, err := os.ReadFile(cfg.DeadFile)
	if err != nil {
		t.Fatal(err)
	}
	for offset := range n {
		if got := strings.Count(string(text), fmt.Sprintf(`"offset":%d,`, offset)); got != 1 {
			t.Errorf("offset %d is there %d times", offset, got)
		}
	}
}
