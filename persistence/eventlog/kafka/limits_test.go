package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

// noisy is a block's worth of events that do not compress.
func noisy(n, bytes int, p messages.Partition) *messages.Frame {
	rng := rand.New(rand.NewPCG(1, 2))
	b := messages.Block{Partition: p, Records: uint32(n)}
	for i := range n {
		extra := []byte(`"note":"`)
		for range bytes {
			extra = append(extra, 'a'+byte(rng.IntN(26)))
		}
		b.Data = (&messages.Record{Topic: fmt.Appendf(nil, "t%d", i), Extra: append(extra, '"'), Count: 1}).AppendTo(b.Data)
	}
	return &messages.Frame{Kind: messages.FrameEvents, Stamp: 1e15, Blocks: []messages.Block{b}}
}

// TestATopicThatTakesLittleIsWrittenInSmallerRecords from the start, and not by
// trying: the broker has no batch to refuse.
func TestATopicThatTakesLittleIsWrittenInSmallerRecords(t *testing.T) {
	const most = 50_000
	for _, write := range []Write{WriteBlocks, WriteEvents} {
		for _, key := range []string{"", "key"} {
			b := newBroker(t)
			if err := b.CreateTopic(brokerTopic, 4, map[string]string{"max.message.bytes": fmt.Sprint(most)}); err != nil {
				t.Fatal(err)
			}
			cfg := writerConfig(b)
			cfg.Write, cfg.Compression = write, "none"
			l := openLog(t, cfg)
			var largest atomic.Int64
			b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				for _, t := range req.(*kmsg.ProduceRequest).Topics {
					for _, p := range t.Partitions {
						largest.Store(max(largest.Load(), int64(len(p.Records))))
					}
				}
				return nil, nil, false
			})
			f := noisy(400, 1000, 1)
			f.Key = key
			mustAppend(t, l, f)
			if n := largest.Load(); n > most || n < most/5 {
				t.Errorf("write %d, key %q: the largest batch has %d bytes of %d", write, key, n, most)
			}
			events := 0
			for _, blocks := range [][]messages.ReadBlock{readAll(t, l, 1, topicLength(t, b, 1))} {
				for i := range blocks {
					events += int(blocks[i].Records)
				}
			}
			if events != 400 {
				t.Errorf("write %d, key %q: %d events of 400", write, key, events)
			}
		}
	}
}

func topicLength(t *testing.T, b *broker, p int32) messages.Offset {
	t.Helper()
	return messages.Offset(len(topicRecords(t, b, brokerTopic)[p]))
}

// TestAGatewayThatMayNotSeeTheTopicsSettingsWrites what topics mostly take.
func TestAGatewayThatMayNotSeeTheTopicsSettingsWrites(t *testing.T) {
	b := newBroker(t)
	denied := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	defer denied.Remove()
	l := openLog(t, writerConfig(b))
	if denied.Hits() == 0 || l.cfg.MaxRecord != DefaultConfig().MaxRecord {
		t.Errorf("asked %d times, records of at most %d bytes", denied.Hits(), l.cfg.MaxRecord)
	}
	mustAppend(t, l, frameOf(1, 3, 0))
}

// TestAnEventLargerThanTheTopicTakes fails for good, and its neighbours are there.
func TestAnEventLargerThanTheTopicTakes(t *testing.T) {
	b := newBroker(t)
	if err := b.CreateTopic(brokerTopic, 4, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, writerConfig(b))
	f := frameOf(1, 3, 0)
	f.Blocks = append(f.Blocks, noisy(1, 60_000, 2).Blocks...)
	err := l.Append(t.Context(), f, make(messages.Position, 4))
	if !errors.Is(err, messages.ErrTooLarge) || errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "max.message.bytes") {
		t.Fatal(err)
	}
	eventually(t, "the other block is there", func() bool { return topicLength(t, b, 0) == 1 })
	if err := l.Err(); err != nil {
		t.Error(err)
	}
}

// TestFetchesOfAllPartitionsShareTheirMemory, however many the topic has.
func TestFetchesOfAllPartitionsShareTheirMemory(t *testing.T) {
	for _, c := range []struct {
		partitions int32
		memory     int64
		want       int
	}{{16, 8 << 20, 512 << 10}, {16, 1 << 20, 64 << 10}, {2, 1 << 30, 4 << 20}, {2, 0, 4 << 20}} {
		b := newBroker(t, kfake.SeedTopics(c.partitions, brokerTopic))
		cfg := writerConfig(b) // which says that there are 4
		cfg.FetchMemory = c.memory
		if l := openLog(t, cfg); l.cfg.FetchBytes != c.want || l.client.cfg.FetchBytes != c.want {
			t.Errorf("%d partitions, %d bytes: fetches of %d, want %d", c.partitions, c.memory, l.cfg.FetchBytes, c.want)
		}
	}
}

// TestAnAppendThatWaitsForRoomHoldsNothing but the caller's frame: what waits
// would else be bounded by nobody.
func TestAnAppendThatWaitsForRoomHoldsNothing(t *testing.T) {
	for _, write := range []Write{WriteBlocks, WriteEvents} {
		b := newBroker(t)
		cfg := writerConfig(b)
		cfg.Write, cfg.MaxWaiting = write, 2<<20
		l := openLog(t, cfg)
		f := noisy(2000, 100, 0)
		if !l.waiting.TryAcquire(cfg.MaxWaiting) {
			t.Fatal("no room at the start")
		}
		least := uint64(math.MaxUint64) // what goes on in the background allocates too
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := l.Append(ctx, f, make(messages.Position, 4))
			runtime.ReadMemStats(&after)
			cancel()
			if !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), eventlog.NotInTheLog) {
				t.Fatal(err)
			}
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if least > uint64(len(f.Blocks[0].Data)/2) {
			t.Errorf("write %d: %d bytes allocated while %d waited", write, least, len(f.Blocks[0].Data))
		}
		l.waiting.Release(cfg.MaxWaiting)
		mustAppend(t, l, f)
		if !l.waiting.TryAcquire(cfg.MaxWaiting) {
			t.Errorf("write %d: its room is not given back", write)
		}
	}
}

// TestTheRoomOfAFrameIsWhatItsPartsTake, or more.
func TestTheRoomOfAFrameIsWhatItsPartsTake(t *testing.T) {
	quoted := messages.Record{Topic: []byte(`"""`), Category: bytes.Repeat([]byte(`"`), 20), Count: 1}
	full := messages.Record{
		Topic: []byte("a"), Category: []byte("c"), Region: []byte("r"), ID: []byte("i"), User: make([]byte, messages.UserHashLength), Count: 9,
		HasTime: true, Time: 1e15 + 1, HasWatch: true, WatchMillis: 1001, Completed: messages.False, Extra: []byte(`"x":1`),
	}
	for _, r := range []messages.Record{{Topic: []byte("a"), Count: 1}, full, quoted} {
		for _, n := range []int{1, 1000} {
			f := &messages.Frame{Kind: messages.FrameEvents, Blocks: []messages.Block{{Records: uint32(n)}}}
			for range n {
				f.Blocks[0].Data = r.AppendTo(f.Blocks[0].Data)
			}
			for _, write := range []Write{WriteBlocks, WriteEvents} {
				parts, err := partsOf(f, &pending{}, write, 900_000)
				if err != nil {
					t.Fatal(err)
				}
				held := len(f.Blocks[0].Data)
				for i := range parts {
					for j := range parts[i].events {
						held += 72 + len(parts[i].events[j].value) // the rest is of the data
					}
				}
				if got := weightOf(f, write); got < int64(held) {
					t.Errorf("write %d: room of %d bytes for %d events that take %d", write, got, n, held)
				}
			}
		}
	}
}

// TestAFrameThatCannotBeWrittenGivesItsRoomBack: whoever has made it.
func TestAFrameThatCannotBeWrittenGivesItsRoomBack(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.Write = WriteEvents
	l := openLog(t, cfg)
	f := frameOf(1, 3, 0)
	f.Blocks[0].Records++
	if err := l.Append(t.Context(), f, make(messages.Position, 4)); err == nil || errors.Is(err, messages.ErrStopped) {
		t.Fatal(err)
	}
	if !l.waiting.TryAcquire(cfg.MaxWaiting) {
		t.Error("its room is not given back")
	}
}
