//go:build e2e

package sim

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// TestKafkaConsume measures what a node takes for an event that is in a topic
// already, produced by somebody else with lz4: one JSON object of about 200 bytes
// a record; a hundred of one partition in one record, as lines; protobuf; and crest's own blocks, from
// its gateway. What it then says equals brute force. CREST_KAFKA_EVENTS, _TOPICS
// and _MEMORY (MiB) are the sizes; from 10,000,000 events on the figures have to
// be those that we promise.
func TestKafkaConsume(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	rng := random(t)
	events := setting(t, "CREST_KAFKA_EVENTS", 100_000)
	cfg := workload.DefaultConfig()
	cfg.Topics = setting(t, "CREST_KAFKA_TOPICS", max(1, events/10))
	cfg.Rate = float64(events) / time.Hour.Seconds()
	cfg.Start = messages.MicrosOf(time.Now()) - messages.Hour - 10*messages.Minute
	cfg.Exponent = 1.07
	memory := setting(t, "CREST_KAFKA_MEMORY", 1024)
	var sent truth.Events
	each := func(f func(i int, e *workload.Event)) {
		s, err := workload.New(cfg)
		fail(t, err)
		var e workload.Event
		for i := range events {
			s.Next(&e)
			f(i, &e)
		}
	}
	each(func(_ int, e *workload.Event) { sent.AddEvent(e) })
	b := realKafka(ctx, t)
	secret := hashKey(t)
	partitions := []string{"--partitions", "64", "--memory", fmt.Sprintf("%dMiB", memory), "--hash-key-file", secret}
	idle := time.Duration(0)
	for _, f := range []struct {
		name string
		// perCPU is how many events a second of CPU time must do, at least.
		perCPU  float64
		produce func(topic string)
	}{
		{"nothing", 0, nil},
		{"JSON", 600_000, func(topic string) {
			write(ctx, t, b.Addr(), topic, func(put func(*kgo.Record)) {
				each(func(i int, e *workload.Event) { put(&kgo.Record{Key: bytes.Clone(e.Topic[:]), Value: wordy(e, i)}) })
			})
		}},
		{"lines in a record", 600_000, func(topic string) {
			write(ctx, t, b.Addr(), topic, func(put func(*kgo.Record)) {
				// A hundred events of one partition each, keyed by the topic of one of them.
				where := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
				var lines [64]bytes.Buffer
				var last [64][]byte
				var waiting [64]int
				flush := func(p int) {
					put(&kgo.Record{Key: last[p], Value: bytes.Clone(lines[p].Bytes())})
					lines[p].Reset()
					waiting[p] = 0
				}
				each(func(i int, e *workload.Event) {
					key := bytes.Clone(e.Topic[:])
					p := where.Partition(&kgo.Record{Key: key}, len(lines))
					lines[p].Write(wordy(e, i))
					lines[p].WriteByte('\n')
					last[p] = key
					if waiting[p]++; waiting[p] == 100 {
						flush(p)
					}
				})
				for p := range lines {
					if waiting[p] > 0 {
						flush(p)
					}
				}
			})
		}},
		{"protobuf", 600_000, func(topic string) {
			write(ctx, t, b.Addr(), topic, func(put func(*kgo.Record)) {
				each(func(i int, e *workload.Event) { put(wordyProto(e, i)) })
			})
		}},
		{"crest's blocks", 600_000, func(topic string) {
			through := newServer(t, append([]string{"--log", "kafka://" + b.Addr() + "/" + topic}, partitions...)...)
			through.start(ctx)
			throughGateway(ctx, t, through, each, events)
			through.kill()
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			topic := foreignTopic(ctx, t, kgoClient(t, b.Addr()), 64, "message.timestamp.type=LogAppendTime")
			if f.produce != nil {
				began := time.Now()
				f.produce(topic)
				t.Logf("%d events produced in %v", events, time.Since(began).Round(time.Millisecond))
			}
			s := newServer(t, append([]string{"--log", "kafka://" + b.Addr() + "/" + topic}, partitions...)...)
			began := time.Now()
			s.start(ctx)
			if f.produce == nil {
				u, err := s.node.Usage()
				fail(t, err)
				idle = u.CPU
				t.Logf("a start with nothing to count takes %v of CPU time", idle)
				return
			}
			s.countedAs(ctx, uint64(events))
			took := time.Since(began)
			u, err := s.node.Usage()
			fail(t, err)
			perCPU := float64(events) / (u.CPU - idle).Seconds()
			t.Logf("%d events counted %v behind the start, with %v of CPU time: %.0f ns an event, %.0f events a second of CPU; %d MB resident at most",
				events, took.Round(time.Millisecond), u.CPU-idle, 1e9/perCPU, perCPU, u.Peak>>20)
			if events >= published && perCPU < f.perCPU {
				t.Errorf("%.0f events a second of CPU, want %.0f", perCPU, f.perCPU)
			}
			c := &comparison{t: t, client: s.client.Load(), events: &sent, rng: rng, exact: events < 1_000_000, cells: []messages.Cell{{}, {Region: "IN"}, {Category: workload.CategoryNames[0]}}}
			c.ledger(ctx)
			names := sent.Topics()
			for from := 0; from < len(names); from += 1000 {
				c.countsOf(ctx, "all", 0, names[from:min(from+1000, len(names))])
			}
			for cell := range c.cells {
				for _, window := range []string{"10m", "24h", "all"} {
					c.board(ctx, window, cell)
				}
			}
			t.Logf("%d boards and %d counts are true, %d of them not exact", c.boards, c.counts, c.inexact)
		})
	}
}

// wordy is an event as players send it, about 200 bytes.
func wordy(e *workload.Event, i int) []byte {
	line := e.AppendJSON(make([]byte, 0, 224))
	line = append(line[:len(line)-2], `,"device":"mobile","session_id":"s`...)
	line = strconv.AppendInt(line, int64(i)*7919%1_000_003, 16)
	return append(line, `","watch_time_sec":31.5,"completed":true,"quality":"1080p"}`...)
}

// wordyProto is the same as protobuf, in a record keyed by topic.
func wordyProto(e *workload.Event, i int) *kgo.Record {
	return &kgo.Record{Key: bytes.Clone(e.Topic[:]), Value: marshalled(&eventpb.Event{
		Topic: e.Topic.String(), Category: e.Category, Region: e.Region, UserId: fmt.Sprintf("u%d", e.User), Timestamp: proto.Int64(int64(e.Time)),
		Device: "mobile", SessionId: fmt.Sprintf("s%x", i*7919%1_000_003), WatchTimeSec: proto.Float64(31.5), Completed: proto.Bool(true),
		Attributes: map[string]string{"quality": "1080p"},
	})}
}

// write produces records with lz4.
func write(ctx context.Context, t *testing.T, addr, topic string, all func(put func(*kgo.Record))) {
	t.Helper()
	c := kgoClient(t, addr, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(20*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	var mu sync.Mutex
	var first error
	all(func(r *kgo.Record) {
		c.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	})
	fail(t, c.Flush(ctx))
	fail(t, first)
	c.Close()
}

// throughGateway sends events in requests of 5,000 from a few connections.
func throughGateway(ctx context.Context, t *testing.T, s *server, each func(func(int, *workload.Event)), events int) {
	t.Helper()
	bodies := make(chan []byte, 4)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range 4 {
		wg.Go(func() {
			for body := range bodies {
				if _, err := s.client.Load().Ingest(ctx, &client.Events{Body: body, ContentType: client.NDJSON}); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	var body []byte
	each(func(i int, e *workload.Event) {
		if body = append(append(body, wordy(e, i)...), '\n'); i%5000 == 4999 || i == events-1 {
			bodies <- body
			body = nil
		}
	})
	close(bodies)
	wg.Wait()
	fail(t, first)
}

// countedAs waits until a node has counted n events, as long as it goes on with
// that.
func (s *server) countedAs(ctx context.Context, n uint64) {
	s.t.Helper()
	last, since := uint64(0), time.Now()
	for {
		l, err := s.client.Load().Ledger(ctx)
		if err != nil {
			s.t.Fatalf("ledger: %v\n%s", err, s.node.Log())
		}
		if l.Total.Counted >= n {
			return
		}
		if l.Total.Counted > last {
			last, since = l.Total.Counted, time.Now()
		}
		if time.Since(since) > 2*time.Minute || !pause(ctx, 5*time.Millisecond) {
			s.t.Fatalf("%d events counted, want %d: %+v\n%s", l.Total.Counted, n, l.Total, s.node.Log())
		}
	}
}
