package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/crestdb/crest/messages"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// TestReadEqualsAForeignConsumer: values, order and arrivals, whatever the
// compression, and from any offset on.
func TestReadEqualsAForeignConsumer(t *testing.T) {
	for _, clock := range []string{"CreateTime", "LogAppendTime"} {
		for name, codec := range codecs {
			t.Run(clock+"/"+name, func(t *testing.T) {
				seed := uint64(time.Now().UnixNano())
				t.Log("seed", seed)
				rng := rand.New(rand.NewPCG(seed, 0))
				c := readCluster(t, 2, map[string]string{"message.timestamp.type": clock}, kfake.NumBrokers(1))
				k := foreignClient(t, c, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(0))
				start := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
				for range 10 {
					var batch []*kgo.Record
					for range 1 + rng.IntN(200) {
						r := &kgo.Record{
							Partition: 1, Timestamp: start.Add(time.Duration(rng.IntN(5000)) * time.Millisecond),
							Value: fmt.Appendf(nil, "%d-%s", rng.Uint64(), strings.Repeat("x", rng.IntN(300))),
						}
						if rng.IntN(2) == 0 {
							r.Key = fmt.Append(nil, rng.Uint32())
						}
						for range rng.IntN(3) {
							r.Headers = append(r.Headers, kgo.RecordHeader{Key: "h", Value: fmt.Append(nil, rng.Uint32())})
						}
						batch = append(batch, r)
					}
					if err := k.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
				end := c.PartitionInfo(readTopic, 1).HighWatermark
				l := openLog(t, readConfig(t, c))
				for _, from := range []int64{0, 1, rng.Int64N(end), end - 1} {
					want := consume(t, c, 1, from, end)
					got := readTo(t, l, 1, messages.Offset(from), messages.Offset(end), 1+rng.IntN(20_000))
					if len(got.events) != len(want) {
						t.Fatalf("from %d: %d events: want %d", from, len(got.events), len(want))
					}
					for i, e := range got.events {
						if r := want[i]; e.topic != string(r.Value) || int64(e.stamp) != r.Timestamp.UnixMicro() {
							t.Fatalf("from %d: event %d is %.60q at %d: want %.60q at %d", from, i, e.topic, e.stamp, r.Value, r.Timestamp.UnixMicro())
						}
					}
				}
				ends := make(messages.Position, 2)
				if l.Ends(ends); int64(ends[1]) != end || ends[0] != 0 {
					t.Errorf("ends %v: want [0 %d]", ends, end)
				}
			})
		}
	}
}

// TestReadKeepsHeaders: the decoder sees key, value and headers as they were
// sent, in their order.
func TestReadKeepsHeaders(t *testing.T) {
	c := readCluster(t, 1, nil)
	k := foreignClient(t, c)
	sent := &kgo.Record{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{
		{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}},
	}}
	if err := k.ProduceSync(t.Context(), sent).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	cfg := readConfig(t, c)
	cfg.Decoder = func() Decoder {
		return decodeFunc(func(m *messages.Message, dst []byte) ([]byte, int, []messages.Refusal) {
			seen = append(seen, fmt.Sprintf("%q=%q", m.Key, m.Value))
			for _, h := range m.Headers {
				seen = append(seen, fmt.Sprintf("%q=%q nil %v", h.Key, h.Value, h.Value == nil))
			}
			if m.Latest-m.Stamp != 5*messages.Minute {
				t.Errorf("latest is %d µs behind the arrival", m.Latest-m.Stamp)
			}
			return lineDecoder{}.Decode(m, dst)
		})
	}
	readTo(t, openLog(t, cfg), 0, 0, 1, 0)
	want := []string{`"k"="v"`, `"a"="1" nil false`, `"a"="" nil true`, `""="" nil false`}
	if !slices.Equal(seen, want) {
		t.Errorf("the decoder saw %v: want %v", seen, want)
	}
}

type decodeFunc func(m *messages.Message, dst []byte) ([]byte, int, []messages.Refusal)

func (f decodeFunc) Decode(m *messages.Message, dst []byte) ([]byte, int, []messages.Refusal) {
	return f(m, dst)
}

// TestReadPassesOverAbortedTransactions against a consumer that does: two
// producers with transactions, one without, in turns.
func TestReadPassesOverAbortedTransactions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	plain := foreignClient(t, c)
	var tx []*kgo.Client
	for i := range 2 {
		tx = append(tx, foreignClient(t, c, kgo.TransactionalID(fmt.Sprint("tx", i))))
	}
	open, aborted := make([]bool, 2), 0
	for step := range 120 {
		i := rng.IntN(3)
		if i == 2 {
			produceLines(t, plain, 0, fmt.Sprint("plain", step))
			continue
		}
		switch {
		case !open[i]:
			if err := tx[i].BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			open[i] = true
			fallthrough
		case rng.IntN(3) > 0:
			produceLines(t, tx[i], 0, fmt.Sprint("tx", i, "-", step))
		default:
			end := kgo.TransactionEndTry(rng.IntN(2) == 0)
			if end == kgo.TryAbort {
				aborted++
			}
			if err := tx[i].EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			open[i] = false
		}
	}
	for i := range tx {
		if open[i] {
			if err := tx[i].EndTransaction(t.Context(), kgo.TryAbort); err != nil {
				t.Fatal(err)
			}
			aborted++
		}
	}
	produceLines(t, plain, 0, "the end")
	end := c.PartitionInfo(readTopic, 0).HighWatermark
	if aborted == 0 {
		t.Fatal("nothing was aborted")
	}
	l := openLog(t, readConfig(t, c))
	for from := int64(0); from < end; from += 1 + rng.Int64N(20) {
		var want []string
		for _, r := range consume(t, c, 0, from, end) {
			want = append(want, string(r.Value))
		}
		if got := readTo(t, l, 0, messages.Offset(from), messages.Offset(end), 1+rng.IntN(500)); !slices.Equal(got.topics(), want) {
			t.Fatalf("from %d:\n%v\nwant\n%v", from, got.topics(), want)
		}
	}
}

// TestReadWaitsForTheEndOfATransaction: what is not committed is not there, and
// behind the last record a gap stands for the marker.
func TestReadWaitsForTheEndOfATransaction(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	tx := foreignClient(t, c, kgo.TransactionalID("tx"))
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produceLines(t, tx, 0, "a", "b")
	l := openLog(t, readConfig(t, c))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var b messages.Batch
	read := make(chan error, 1)
	go func() { read <- l.Read(ctx, 0, 0, &b) }()
	eventually(t, "it is told that records wait for the end of a transaction", func() bool {
		return !l.reading.parts[0].heldSince().IsZero()
	})
	cancel()
	if err := <-read; err != context.Canceled {
		t.Fatalf("read of an open transaction: %v, %d blocks", err, len(b.Blocks))
	}
	if err := tx.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	got := readTo(t, l, 0, 0, 3, 0)
	if !slices.Equal(got.topics(), []string{"a", "b"}) || got.gaps != 1 || !l.reading.parts[0].heldSince().IsZero() {
		t.Errorf("read %v and %d gaps, records wait since %v", got.topics(), got.gaps, l.reading.parts[0].heldSince())
	}
}

// TestReadWakesUp: what is written while a reader waits is there at once, and an
// empty partition is no error.
func TestReadWakesUp(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	cfg := readConfig(t, c)
	cfg.FetchWait = 2 * testTimeout
	l := openLog(t, cfg)
	done := make(chan *haul)
	go func() { done <- readTo(t, l, 0, 0, 1, 0) }()
	k := foreignClient(t, c)
	produceLines(t, k, 0, "a")
	select {
	case h := <-done:
		if !slices.Equal(h.topics(), []string{"a"}) {
			t.Errorf("read %v", h.topics())
		}
	case <-time.After(testTimeout):
		t.Fatalf("the reader has not heard of it in %v", testTimeout)
	}
}

// TestReadOfTwoSidesBySide: readers of one partition do not disturb each other.
func TestReadOfTwoSidesBySide(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	k := foreignClient(t, c)
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprint("topic", i))
	}
	produceLines(t, k, 0, want...)
	l := openLog(t, readConfig(t, c))
	results := make(chan []string)
	for i := range 4 {
		go func() { results <- readTo(t, l, 0, 0, 2000, 100+i).topics() }()
	}
	for range 4 {
		if got := <-results; !slices.Equal(got, want) {
			t.Errorf("read %d events: want %d, in their order", len(got), len(want))
		}
	}
}

// TestReadOfAnOldBroker: before topic ids in fetches (Kafka 3.1), and before
// topic ids at all (2.8).
func TestReadOfAnOldBroker(t *testing.T) {
	for name, v := range map[string]*kversion.Versions{"2.4": kversion.V2_4_0(), "2.8": kversion.V2_8_0(), "3.1": kversion.V3_1_0()} {
		t.Run(name, func(t *testing.T) {
			c := readCluster(t, 3, appendTime, kfake.MaxVersions(v))
			produceLines(t, foreignClient(t, c), 2, "a", "b")
			l := openLog(t, readConfig(t, c))
			if got := readTo(t, l, 2, 0, 2, 0); !slices.Equal(got.topics(), []string{"a", "b"}) {
				t.Errorf("read %v", got.topics())
			}
		})
	}
}

// TestReadOfRecordsAboveTheFetch: a record comes whole, however little was asked
// for, and however much it says when decompressed.
func TestReadOfRecordsAboveTheFetch(t *testing.T) {
	c := readCluster(t, 1, map[string]string{"max.message.bytes": "16000000"}, kfake.NumBrokers(1))
	var want []string
	for i, size := range []int{10, 3 << 20, 1 << 20, 5, 5 << 20} {
		want = append(want, strings.Repeat(string(rune('a'+i)), size))
	}
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.ZstdCompression()} {
		produceLines(t, foreignClient(t, c, kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(15<<20)), 0, want...)
	}
	cfg := readConfig(t, c)
	cfg.FetchBytes = 1000
	got := readTo(t, openLog(t, cfg), 0, 0, 10, 0)
	if !slices.Equal(got.topics(), append(slices.Clone(want), want...)) {
		t.Errorf("read %d events: want %d", len(got.events), 2*len(want))
	}
}

// TestReadAnotherBatchDoesNotChangeBlocks: what was handed out stays as it is,
// though the fetch's memory is used again.
func TestReadAnotherBatchDoesNotChangeBlocks(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	k := foreignClient(t, c, kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	for i := range 50 {
		var batch []string
		for j := range 100 {
			batch = append(batch, fmt.Sprint("topic", i, "-", j))
		}
		produceLines(t, k, 0, batch...)
	}
	cfg := readConfig(t, c)
	cfg.FetchBytes = 2000
	got := readTo(t, openLog(t, cfg), 0, 0, 5000, 3000)
	var again []string
	for i := range got.blocks {
		var r messages.Record
		for rest := got.blocks[i].Data; len(rest) > 0; {
			var err error
			if rest, err = r.ReadFrom(rest); err != nil {
				t.Fatal(err)
			}
			again = append(again, string(r.Topic))
		}
	}
	if !slices.Equal(again, got.topics()) {
		t.Error("blocks have changed since they were read")
	}
}
