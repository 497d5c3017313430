//go:build e2e

package sim

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// compressions are all that Kafka knows.
var compressions = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()},
}

// bigRecords lets a topic take records far above the 1 MiB that is the default,
// and above what crest asks for at once.
const bigRecords = 8 << 20

// TestKafkaForeignProducers: what others write, in every form that crest reads,
// with every compression, in transactions that are committed or aborted, in
// records of megabytes, and by Kafka's own console producer, is counted once, as
// the truth says; so it is again behind a kill -9, and by a node that has nothing
// but the topic. It is the same whether the topic has the broker's stamps or the
// producers'.
func TestKafkaForeignProducers(t *testing.T) {
	for _, stamps := range []string{"LogAppendTime", "CreateTime"} {
		t.Run(stamps, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			rng := random(t)
			b := realKafka(ctx, t)
			topic := foreignTopic(ctx, t, kgoClient(t, b.Addr()), kafkaPartitions, "message.timestamp.type="+stamps, fmt.Sprintf("max.message.bytes=%d", bigRecords))
			s := newServer(t, onKafka(b.Addr(), topic, "--dedup-window", "2h", "--log-level", "info")...)
			s.start(ctx)

			var r record
			for _, z := range compressions {
				c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(z.codec), kgo.ProducerBatchMaxBytes(bigRecords-4096))
				for _, f := range forms {
					r.produce(ctx, t, c, f.encode, someViews(rng, f.name+"/"+z.name, 40))
				}
				r.produce(ctx, t, c, together("", lined), someViews(rng, "big/"+z.name, 10_000)) // 1.5 MB
			}
			c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(bigRecords-4096))
			r.produce(ctx, t, c, together("", lined), someViews(rng, "huge", 40_000)) // 6 MB
			r.transactions(ctx, t, b.Addr(), topic)
			r.console(ctx, t, b, topic, someViews(rng, "console", 200))

			s.counted(ctx, &r)
			everything(ctx, s, &r, rng)
			before := digest(t, s)
			s.kill()
			s.start(ctx)
			s.counted(ctx, &r)
			if after := digest(t, s); after != before {
				t.Errorf("state digest %s before a kill, %s behind it", before, after)
			}
			another := newServer(t, s.flags...)
			another.start(ctx)
			another.counted(ctx, &r)
			everything(ctx, another, &r, rng)
			if after := digest(t, another); after != before {
				t.Errorf("state digest %s, of a node that has only the topic %s", before, after)
			}
		})
	}
}

// note writes views down as sent.
func (r *record) note(t *testing.T, views []view) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range views {
		if err := r.events.AddLine(views[i].line()); err != nil {
			t.Fatal(err)
		}
	}
}

// produce writes views in some form, and notes them.
func (r *record) produce(ctx context.Context, t *testing.T, c *kgo.Client, encode func([]view) []*kgo.Record, views []view) {
	t.Helper()
	if err := c.ProduceSync(ctx, encode(views)...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.note(t, views)
}

// transactions writes some that are committed and some that are aborted, with
// other records between theirs.
func (r *record) transactions(ctx context.Context, t *testing.T, addr, topic string) {
	t.Helper()
	rng := random(t)
	tx := kgoClient(t, addr, kgo.DefaultProduceTopic(topic), kgo.TransactionalID(topic))
	besides := kgoClient(t, addr, kgo.DefaultProduceTopic(topic))
	for i := range 12 {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		views, end := someViews(rng, fmt.Sprintf("transaction-%d", i), 50), kgo.TransactionEndTry(i%3 != 1)
		for from := 0; from < len(views); from += 10 {
			if err := tx.ProduceSync(ctx, each("", (*view).topicEvent)(views[from:from+10])...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			r.produce(ctx, t, besides, each("", (*view).videoEvent), someViews(rng, fmt.Sprintf("besides-%d-%d", i, from), 5))
		}
		if err := tx.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
		if end == kgo.TryCommit {
			r.note(t, views)
		}
	}
}

// console has Kafka's own console producer write views, keyed by topic.
func (r *record) console(ctx context.Context, t *testing.T, b *kafka.Broker, topic string, views []view) {
	t.Helper()
	var in bytes.Buffer
	for i := range views {
		fmt.Fprintf(&in, "%s|%s\n", views[i].topic, views[i].videoEvent())
	}
	tool := b.Tool(ctx, "kafka.tools.ConsoleProducer", "--bootstrap-server", b.Addr(), "--topic", topic,
		"--property", "parse.key=true", "--property", "key.separator=|", "--compression-codec", "lz4")
	tool.Stdin = &in
	if out, err := tool.CombinedOutput(); err != nil {
		t.Fatalf("console producer: %v\n%s", err, out)
	}
	r.note(t, views)
}

// counted waits until a node has counted as many events as were sent; whether
// they are the right ones is for others to say. That a topic has grown it knows
// only some time after whoever wrote into it.
func (s *server) counted(ctx context.Context, r *record) {
	s.t.Helper()
	s.countedAs(ctx, uint64(r.events.Len()))
}
