package kafka

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/messages"
)

// kgo reads what is written here, with every compression and every kind of field.
func TestAnotherLibraryReadsTheBatches(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
			cfg := writerConfig(b)
			c, err := newClient(&cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			e, err := newBatchEncoder(compression)
			if err != nil {
				t.Fatal(err)
			}
			base := int64(0)
			var want []*kgo.Record
			for round := range 3 {
				e.reset()
				for i := range 100 * (round + 1) {
					r := &kgo.Record{Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i*i%7919) - 3000), Offset: base + int64(i)}
					var headers []messages.Header
					if i%2 == 0 {
						r.Key = fmt.Appendf(nil, "key %d", i)
					}
					if i%3 > 0 {
						r.Value = bytes.Repeat([]byte{byte(i)}, i*31%5000)
					}
					for n := range i % 4 {
						k, v := fmt.Sprintf("header %d", n), fmt.Appendf(nil, "value %d", i)
						headers = append(headers, messages.Header{Key: []byte(k), Value: v})
						r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: v})
					}
					e.add(r.Timestamp.UnixMilli(), r.Key, r.Value, headers)
					want = append(want, r)
				}
				batch, err := e.seal()
				if err != nil {
					t.Fatal(err)
				}
				newest := want[base].Timestamp
				for _, r := range want[base:] {
					if r.Timestamp.After(newest) {
						newest = r.Timestamp
					}
				}
				if h, rest, err := nextBatch(batch); err != nil || len(rest) > 0 || h.baseTime != want[base].Timestamp.UnixMilli() || h.maxTime != newest.UnixMilli() {
					t.Fatalf("%+v, %v: want times from %v to %v", h, err, want[base].Timestamp, newest)
				}
				var got int64
				eventually(t, "the batch is taken", func() bool {
					got, err = c.produce(t.Context(), brokerTopic, 0, batch)
					return err == nil
				})
				if got != base {
					t.Fatalf("batch at %d, want %d", got, base)
				}
				base = int64(len(want))
			}
			got := topicRecords(t, b, brokerTopic)[0]
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			for i, w := range want {
				g := got[i]
				if g.Offset != w.Offset || !g.Timestamp.Equal(w.Timestamp) || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) ||
					(g.Key == nil) != (w.Key == nil) || (g.Value == nil) != (w.Value == nil) || fmt.Sprint(g.Headers) != fmt.Sprint(w.Headers) {
					t.Fatalf("record %d:\n got %+v\nwant %+v", i, g, w)
				}
			}
		})
	}
}

// What an append costs does not depend on how many events it has.
func TestWritingDoesNotAllocatePerEvent(t *testing.T) {
	cost := func(events int) float64 {
		f := frameOf(1, events, 0)
		e, err := newBatchEncoder("none")
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(50, func() {
			parts, err := partsOf(f, &pending{}, WriteBlocks, 900_000)
			if err != nil || len(parts) != 1 {
				t.Fatal(len(parts), err)
			}
			e.reset()
			parts[0].encodeTo(e, messages.WriterID{})
			if _, err := e.seal(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := cost(10), cost(5000); many > few {
		t.Errorf("%v allocations with 10 events, %v with 5000", few, many)
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, compression := range []string{"none", "lz4", "zstd"} {
		for _, events := range []int{10, 1000, 10_000} {
			b.Run(fmt.Sprintf("compression=%s/events=%d", compression, events), func(b *testing.B) {
				f := frameOf(1, events, 0)
				e, err := newBatchEncoder(compression)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(f.Blocks[0].Data)))
				b.ReportAllocs()
				for b.Loop() {
					parts, err := partsOf(f, &pending{}, WriteBlocks, 900_000)
					if err != nil {
						b.Fatal(err)
					}
					e.reset()
					parts[0].encodeTo(e, messages.WriterID{})
					if _, err := e.seal(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
