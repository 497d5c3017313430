//go:build e2e

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/bench/sim/kafka"
	"github.com/crestdb/crest/gateway/client"
)

// TestKafkaKill: events flow through a node, half of them with ids, the others
// under Idempotency-Keys, and by a producer that is not ours, while the node is
// killed 20 times, in the middle of its start too, and the broker 5 times, and
// between them connections are reset behind the broker's write, cut, and slow.
// Nothing acknowledged is lost, nothing counts twice, the ledger balances; and so
// says a node that has nothing but the topic. CREST_KAFKA_CYCLES is the number of
// kills.
func TestKafkaKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	rng := random(t)
	cycles := setting(t, "CREST_KAFKA_CYCLES", 20)
	b := realKafka(ctx, t)
	w := newWeather(t, b)
	topic := newTopicName(t)
	s := newChild(t, 300, onKafka(w.addr(), topic, "--dedup-window", "2h")...)
	s.start(ctx)

	l := begin(ctx, t, rng, 8, 4*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		if batch := from.repeat(); batch != nil {
			_, err := s.send(ctx, batch)
			return err
		}
		batch := from.next()
		if _, err := s.send(ctx, batch); err != nil {
			return err
		}
		from.remember(batch)
		return l.add(batch)
	})
	foreign := besides(ctx, t, rng, b, topic, &l.record)
	w.storm(rng)

	start := time.Now()
	early, brokers, begun := 0, 0, 0
	for cycle := range cycles {
		pause(l.ctx, between(rng, 50*time.Millisecond, 800*time.Millisecond))
		l.check(t)
		n := s.node
		s.kill()
		if loaded(n.Log()) {
			begun++
		}
		if rng.IntN(5) == 0 { // and again before it is ready
			early++
			s.launch()
			pause(l.ctx, between(rng, 0, 300*time.Millisecond))
			s.kill()
		}
		if cycle%4 != 3 {
			s.start(ctx)
			continue
		}
		// The node has to be there when the broker goes, every other time.
		brokers++
		if brokers%2 == 0 {
			s.start(ctx)
			pause(l.ctx, between(rng, 50*time.Millisecond, 300*time.Millisecond))
		}
		b.Kill()
		pause(l.ctx, between(rng, 0, 300*time.Millisecond))
		restart(ctx, t, b)
		if s.node == nil {
			s.start(ctx)
		}
	}
	l.end(t)
	foreign.end(t)
	w.calm()
	t.Logf("%d kills of the node in %v, and %d before it was ready, %d of the broker; %d nodes began with a snapshot; the weather: %v",
		cycles, time.Since(start).Round(time.Second), early, brokers, begun, w.did)
	if begun < cycles/3 {
		t.Errorf("%d of %d nodes began with a snapshot: that tests little", begun, cycles)
	}
	s.counted(ctx, &l.record)
	everything(ctx, s, &l.record, rng)
	before := digest(t, s)
	s.kill()
	another := newServer(t, onKafka(b.Addr(), topic, "--dedup-window", "2h")...)
	another.start(ctx)
	another.counted(ctx, &l.record)
	everything(ctx, another, &l.record, rng)
	if after := digest(t, another); after != before {
		t.Errorf("state digest %s, of a node that has only the topic %s", before, after)
	}
}

// besides is a producer that is not ours and writes events beside the gateway,
// each into Kafka once: an idempotent one, which repeats by itself. Half of its
// events have ids, and of those some come twice.
func besides(ctx context.Context, t *testing.T, rng *rand.Rand, b *kafka.Broker, topic string, r *record) *load {
	t.Helper()
	c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.UnknownTopicRetries(-1))
	n := 0
	return begin(ctx, t, rng, 1, 10*time.Millisecond, func(ctx context.Context, _ *load, from *sender) error {
		n++
		views := someViews(from.rng, fmt.Sprintf("besides-%d", n), 10)
		f := forms[n%2] // one record of each
		if err := c.ProduceSync(ctx, f.encode(views)...).FirstErr(); err != nil {
			return fmt.Errorf("another producer: %w", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range views {
			if err := r.events.AddLine(views[i].line()); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestKafkaStoresThatWereSpoiled: the same topic with all snapshots deleted, and
// with them what they say of the topic; with each partition's oldest alone; with
// older copies of the store; and as it was: the digest and the boards are the same
// each time.
func TestKafkaStoresThatWereSpoiled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	b := realKafka(ctx, t)
	s := newChild(t, 2000, onKafka(b.Addr(), newTopicName(t), "--dedup-window", "2h")...)
	s.start(ctx)
	spoiled(ctx, t, s, storeOf(s), 300)
}

// TestKafkaResets: requests without ids and keys, each sent once and
// acknowledged, while every connection to the broker is reset again and again
// behind its write. What was written twice, since nobody heard that it was
// written, is dropped and in the ledger; each event counts once.
func TestKafkaResets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	for _, write := range []string{"block", "event"} {
		t.Run(write, func(t *testing.T) {
			w := newWeather(t, b)
			s := newServer(t, onKafka(w.addr(), newTopicName(t), "--kafka-write", write)...)
			s.start(ctx)
			w.storm(rng, reset, toxic{"limit_data", `{"bytes":20}`, 1})
			l := begin(ctx, t, rng, 4, 4*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
				batch := from.bare()
				if _, err := s.client.Load().Ingest(ctx, batch.events()); err != nil {
					return err
				}
				return l.add(batch)
			})
			pause(l.ctx, time.Duration(setting(t, "CREST_KAFKA_SECONDS", 5))*time.Second)
			until(ctx, t, l, "something comes twice", func() bool {
				got, err := s.client.Load().Ledger(ctx)
				return err == nil && got.Total.Duplicates > 0
			})
			l.end(t)
			w.calm()
			s.counted(ctx, &l.record)
			sum := (&comparison{t: t, client: s.client.Load()}).atRest(ctx)
			t.Logf("the weather: %v; %d events that came twice were dropped", w.did, sum.Duplicates)
			everything(ctx, s, &l.record, rng)
		})
	}
}

// bare makes a batch of 1 to 8 events without ids and without a key.
func (s *sender) bare() *batch {
	s.seq++
	b := &batch{}
	for i := range 1 + s.rng.IntN(8) {
		l := s.event(b, i, false)
		b.lines, b.body = append(b.lines, l), append(b.body, l...)
	}
	return b
}

// TestKafkaOutage: a broker that is away, or says nothing, costs its node the
// ingest alone, and only while it is away: 503 within moments, boards answered,
// one line in the log and not one for every try; and all of it comes back.
func TestKafkaOutage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	s := newServer(t, onKafka(b.Addr(), newTopicName(t))...)
	s.start(ctx)
	var r record
	from := &sender{name: "outage", rng: rng, ids: true}
	take := func() {
		t.Helper()
		batch := from.next()
		if _, err := s.send(ctx, batch); err != nil {
			t.Fatal(err)
		}
		if err := r.add(batch); err != nil {
			t.Fatal(err)
		}
	}
	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"killed", b.Kill, func() { restart(ctx, t, b) }},
		{"silent", func() { fail(t, b.Pause()) }, func() { fail(t, b.Resume()) }},
	} {
		take()
		outage.begin()
		began := time.Now()
		var refused time.Duration
		for refused == 0 {
			before := time.Now()
			quick, stop := context.WithTimeout(ctx, 2*time.Second)
			_, err := s.client.Load().Ingest(quick, from.bare().events())
			stop()
			if err == nil {
				t.Fatalf("%s: acknowledged without a broker", outage.name)
			}
			if final(err) {
				t.Fatalf("%s: %v", outage.name, err)
			}
			if took := time.Since(before); took < time.Second {
				refused = took
			}
			if time.Since(began) > 90*time.Second {
				t.Fatalf("%s: after %v ingest still waits: %v", outage.name, time.Since(began), err)
			}
		}
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("%s: ingest waits for %v until it is refused", outage.name, took.Round(time.Millisecond))
		}
		t.Logf("%s: refused at once from %v on", outage.name, time.Since(began).Round(time.Millisecond))
		if _, err := s.client.Load().Trending(ctx, client.TrendingQuery{}); err != nil {
			t.Errorf("%s: a board meanwhile: %v", outage.name, err)
		}
		outage.end()
		back := time.Now()
		take()
		t.Logf("%s: taken again %v after it was back", outage.name, time.Since(back).Round(time.Millisecond))
		if lines := strings.Count(s.node.Log(), "\n"); lines > 40 {
			t.Errorf("%s: %d lines in the log:\n%s", outage.name, lines, s.node.Log())
		}
		for line := range strings.Lines(s.node.Log()) {
			if len(line) > 600 {
				t.Errorf("%s: a line of %d bytes: %.200s…", outage.name, len(line), line)
			}
		}
	}
	// What was refused may have been written: it has neither ids nor a key.
	l := (&comparison{t: t, client: s.client.Load()}).atRest(ctx)
	if l.Counted < uint64(r.events.Len()) {
		t.Errorf("%d events counted, %d were acknowledged", l.Counted, r.events.Len())
	}
}

func fail(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
