package kafka

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// lineDecoder makes an event of each line of a message: the line is its topic.
// A line that begins with "!" is refused.
type lineDecoder struct{}

func (lineDecoder) Decode(m *messages.Message, dst []byte) (out []byte, records int, refused []messages.Refusal) {
	index := 0
	for line := range bytes.SplitSeq(m.Value, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("!")) {
			refused = append(refused, messages.Refusal{Index: index, Reason: string(line)})
		} else {
			r := messages.Record{Topic: line, Count: 1, HasTime: true, Time: m.Stamp}
			dst = r.AppendTo(dst)
			records++
		}
		index++
	}
	return dst, records, refused
}

const readTopic = "views"

// readCluster is a fake Kafka with the topic readTopic.
func readCluster(t *testing.T, partitions int32, settings map[string]string, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.CreateTopic(readTopic, partitions, settings); err != nil {
		t.Fatal(err)
	}
	return c
}

var appendTime = map[string]string{"message.timestamp.type": "LogAppendTime"}

// readConfig reads that cluster.
func readConfig(t *testing.T, c *kfake.Cluster) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Objects = c.ListenAddrs(), readTopic, faultstore.NewMemory()
	cfg.Decoder = func() Decoder { return lineDecoder{} }
	cfg.Now = func() messages.Micros { return messages.Micros(time.Now().UnixMicro()) }
	cfg.FetchWait = 100 * time.Millisecond
	cfg.Logger = slog.New(slog.DiscardHandler)
	return cfg
}

// foreignClient is a Kafka client that is not ours.
func foreignClient(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(readTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)
	k, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// produce writes values to partition 0 and waits until they are there.
func produceLines(t *testing.T, k *kgo.Client, p int32, values ...string) {
	t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Partition: p, Value: []byte(v)}
	}
	if err := k.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// counted is an event as read, with what its block says of it.
type counted struct {
	topic string
	stamp messages.Micros
}

// haul is what was read of a partition.
type haul struct {
	events  []counted
	blocks  []messages.ReadBlock
	refused int
	gaps    int
	next    messages.Offset
}

func (h *haul) topics() []string {
	list := make([]string, len(h.events))
	for i := range h.events {
		list[i] = h.events[i].topic
	}
	return list
}

// add checks the blocks of one Read and adds them.
func (h *haul) add(t *testing.T, b *messages.Batch) {
	t.Helper()
	if len(b.Blocks) == 0 {
		t.Fatal("a read brought nothing and no error")
	}
	for i := range b.Blocks {
		block := &b.Blocks[i]
		if block.Offset != h.next || block.End <= block.Offset {
			t.Fatalf("block %d to %d behind one that ends at %d", block.Offset, block.End, h.next)
		}
		h.next = block.End
		h.refused += int(block.Refused)
		if block.Kind == messages.FrameGap {
			if h.gaps++; block.Records > 0 || block.Refused > 0 || block.Stamp != 0 || len(block.Data) > 0 {
				t.Fatalf("a gap holds something: %+v", block)
			}
			continue
		}
		n := uint32(0)
		if block.Kind == messages.FrameEvents {
			var r messages.Record
			for rest := block.Data; len(rest) > 0; n++ {
				var err error
				if rest, err = r.ReadFrom(rest); err != nil {
					t.Fatal(err)
				}
				h.events = append(h.events, counted{string(r.Topic), block.Stamp})
			}
		}
		if n != block.Records {
			t.Fatalf("block at %d has %d records, and says %d", block.Offset, n, block.Records)
		}
		h.blocks = append(h.blocks, *block)
	}
	if b.Next != h.next {
		t.Fatalf("the batch goes on at %d behind a block that ends at %d", b.Next, h.next)
	}
}

// readTo reads a partition from an offset up to another.
func readTo(t *testing.T, l *Log, p messages.Partition, from, to messages.Offset, maxBytes int) *haul {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	h, b := &haul{next: from}, &messages.Batch{MaxBytes: maxBytes}
	for h.next < to {
		if err := l.Read(ctx, p, h.next, b); err != nil {
			t.Fatalf("read at %d of %d: %v", h.next, to, err)
		}
		h.add(t, b)
	}
	return h
}

// consume reads a partition up to an offset as franz-go does.
func consume(t *testing.T, c *kfake.Cluster, p int32, from, to int64) []*kgo.Record {
	t.Helper()
	k := foreignClient(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{readTopic: {p: kgo.NewOffset().At(from)}}))
	defer k.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var all []*kgo.Record
	for {
		if len(all) > 0 && all[len(all)-1].Offset >= to-1 {
			return all
		}
		f := k.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Records()...)
	}
}

// lines is a log's text that tests look into.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func isErr(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v: want one that wraps %v", err, want)
	}
	for _, s := range parts {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}
