//go:build e2e

package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/bench/sim/kafka"
	"github.com/crestdb/crest/gateway/client"
)

// TestKafkaCluster: a topic of three replicas, of which a write wants two, on
// three brokers that are controllers, too. Events flow through a node, half of
// them with ids or under Idempotency-Keys and sent until they are acknowledged,
// the others bare and sent once, and by a producer that is not ours, while two
// brokers are killed and come back, the third one stops where it is and goes on,
// leaders are moved, and at last two brokers are away at once: then ingest is refused with Retry-After, what is counted can still
// be read, and all goes on by itself once they are back. Nothing acknowledged is
// lost, nothing counts twice, the ledger balances; and so says a node that has
// nothing but the topic.
func TestKafkaCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	brokers := newCluster(ctx, t)
	topic := newTopicName(t)
	flags := onKafka(brokers.Addrs(), topic, "--dedup-window", "2h", "--kafka-replication", "3")
	s := newServer(t, flags...)
	s.start(ctx)
	r := &replicas{t: t, topic: topic, admin: kgoClient(t, "", kgo.SeedBrokers(strings.Split(brokers.Addrs(), ",")...))}
	r.inSync(ctx)

	o := &onlookers{began: time.Now()}
	l := begin(ctx, t, rng, 4, 20*time.Millisecond, o.insist(s))
	bare := begin(ctx, t, rng, 4, 20*time.Millisecond, o.once(s, &l.record))
	foreign := besides(ctx, t, rng, brokers[0], topic, &l.record)
	calm := func() {
		t.Helper()
		for _, l := range []*load{l, bare, foreign} {
			l.check(t)
		}
	}

	probe := &sender{name: "probe", rng: rng}
	order := rng.Perm(len(brokers))
	for i, n := range order[:2] {
		led := r.ledBy(ctx, brokers[n])
		brokers[n].Kill()
		killed := time.Now()
		since := func() time.Duration { return time.Since(killed).Round(time.Millisecond) }
		how := "it starts again before others lead"
		if i != 1 {
			o.everywhere(ctx, s, probe, &l.record)
			how = fmt.Sprintf("all partitions are written without it after %v", since())
		}
		pause(ctx, between(rng, 0, time.Second))
		restart(ctx, t, brokers[n])
		o.everywhere(ctx, s, probe, &l.record)
		r.inSync(ctx)
		calm()
		t.Logf("broker %d, which led %d partitions, is killed: %s; it is in sync after %v; %s", n+1, led, how, since(), o.pauses())
	}

	o.unheard(ctx, t, s, r, brokers[order[2]], probe, &l.record)
	r.inSync(ctx)
	calm()

	moved := 0
	for range 4 {
		moved += r.rotate(ctx)
		o.everywhere(ctx, s, probe, &l.record)
		pause(ctx, between(rng, 0, time.Second))
		calm()
	}
	if t.Logf("leaders were moved %d times; %s", moved, o.pauses()); moved < kafkaPartitions {
		t.Error("that tests little")
	}
	t.Logf("while at most one broker was away no write was acknowledged for %v at the longest", o.ever.Round(time.Millisecond))

	o.without(ctx, t, s, brokers, rng)
	o.everywhere(ctx, s, probe, &l.record)
	r.inSync(ctx)
	t.Logf("two brokers were away at once; %s", o.pauses())

	for _, l := range []*load{l, bare, foreign} {
		l.end(t)
	}
	o.everywhere(ctx, s, probe, &l.record)
	o.settle(ctx, s, &l.record)
	s.counted(ctx, &l.record)
	everything(ctx, s, &l.record, rng)
	if h, err := s.client.Load().Health(ctx); err != nil || h.Status != "ok" || h.Warning != "" {
		t.Errorf("at the end the node is %+v, %v", h, err)
	}
	before := digest(t, s)
	s.kill()
	another := newServer(t, flags...)
	another.start(ctx)
	another.counted(ctx, &l.record)
	everything(ctx, another, &l.record, rng)
	if after := digest(t, another); after != before {
		t.Errorf("state digest %s, of a node that has only the topic %s", before, after)
	}
}

// newCluster is three brokers, running.
func newCluster(ctx context.Context, t *testing.T) kafka.Cluster {
	t.Helper()
	cache, err := filepath.Abs("../../.cache/kafka")
	fail(t, err)
	libs, err := kafka.Install(ctx, cache)
	fail(t, err)
	began := time.Now()
	c, err := kafka.NewCluster(ctx, libs, t.TempDir(), 3)
	fail(t, err)
	t.Cleanup(c.Kill)
	fail(t, c.Start(ctx))
	t.Logf("the brokers answer after %v", time.Since(began).Round(time.Millisecond))
	return c
}

// onlookers are what senders see of a cluster that is disturbed.
type onlookers struct {
	began time.Time

	mu      sync.Mutex
	last    time.Duration // since began: the last acknowledgement
	longest time.Duration // without one, as of last
	ever    time.Duration // longest, of all times that pauses was asked
	slowest time.Duration // request, or row of tries at one, until it was acknowledged
	refused int           // with 503
	silent  []string      // of them, without Retry-After
	unsure  []*batch      // bare ones without an answer, or with 503
	acked   int
}

// saw takes the end of a try that began at some moment.
func (o *onlookers) saw(first time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var said *client.Error
	switch {
	case err == nil:
		now := time.Since(o.began)
		o.longest, o.last = max(o.longest, now-o.last), now
		o.slowest = max(o.slowest, time.Since(first))
		o.acked++
	case errors.As(err, &said) && said.Status == http.StatusServiceUnavailable:
		o.refused++
		if said.RetryAfter <= 0 {
			o.silent = append(o.silent, said.Error())
		}
	}
}

// pauses says how long nothing was acknowledged, since it was asked last.
func (o *onlookers) pauses() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := fmt.Sprintf("no write was acknowledged for %v at the longest, one took %v; %d were acknowledged, %d refused with 503",
		o.longest.Round(time.Millisecond), o.slowest.Round(time.Millisecond), o.acked, o.refused)
	o.ever = max(o.ever, o.longest)
	o.longest, o.slowest, o.acked, o.refused = 0, 0, 0, 0
	return text
}

// insist sends batches that may be sent again until they are acknowledged, and
// some of them again later.
func (o *onlookers) insist(s *server) func(context.Context, *load, *sender) error {
	return func(ctx context.Context, l *load, from *sender) error {
		if batch := from.repeat(); batch != nil {
			_, err := s.send(ctx, batch)
			return err
		}
		batch := from.next()
		if err := o.send(ctx, s, batch); err != nil {
			return err
		}
		from.remember(batch)
		return l.add(batch)
	}
}

// send is server.send, watched.
func (o *onlookers) send(ctx context.Context, s *server, b *batch) error {
	first := time.Now()
	for {
		_, err := s.client.Load().Ingest(ctx, b.events())
		o.saw(first, err)
		if err == nil || final(err) {
			return err
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// once sends batches without ids and keys, each one time. What became of those
// that are not acknowledged is asked in the end.
func (o *onlookers) once(s *server, r *record) func(context.Context, *load, *sender) error {
	return func(ctx context.Context, _ *load, from *sender) error {
		batch, first := from.spread(3), time.Now()
		_, err := s.client.Load().Ingest(ctx, batch.events())
		o.saw(first, err)
		switch {
		case err == nil:
			return r.add(batch)
		case final(err):
			return err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.unsure = append(o.unsure, batch)
		return nil
	}
}

// everywhere writes to every partition until each has taken something, and tells
// what.
func (o *onlookers) everywhere(ctx context.Context, s *server, from *sender, r *record) *batch {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b := from.spread(12 * kafkaPartitions)
	b.key = fmt.Sprintf("everywhere-%d", from.seq)
	if err := o.send(ctx, s, b); err != nil {
		s.t.Fatalf("a partition takes nothing: %v\n%s", err, s.node.Log())
	}
	fail(s.t, r.add(b))
	return b
}

// mostSilence bounds how long one broker that is silent may keep partitions from
// being written and read. Others lead them after three seconds or so, if the machine
// is not busy with other things.
const mostSilence = 20 * time.Second

// unheard stops a broker where it is, as if its power or its network was lost: its
// connections stay, and nothing comes on them. It goes on once every partition has
// been written and read without it.
func (o *onlookers) unheard(ctx context.Context, t *testing.T, s *server, r *replicas, b *kafka.Broker, from *sender, to *record) {
	t.Helper()
	led := r.ledBy(ctx, b)
	fail(t, b.Pause())
	began := time.Now()
	batch := o.everywhere(ctx, s, from, to)
	written := time.Since(began).Round(time.Millisecond)
	o.read(ctx, s, batch)
	read := time.Since(began).Round(time.Millisecond)
	fail(t, b.Resume())
	o.everywhere(ctx, s, from, to)
	longest := o.silence().Round(time.Millisecond)
	t.Logf("broker %d, which led %d partitions, stops where it is: all partitions are written without it after %v and read after %v; it goes on, and %s",
		b.ID(), led, written, read, o.pauses())
	if led == 0 || longest > mostSilence || read > mostSilence {
		t.Errorf("with %d partitions of a broker that is silent, %v without an acknowledgement and %v without reading: want at most %v", led, longest, read, mostSilence)
	}
}

// silence is how long nothing was acknowledged, since pauses was asked last.
func (o *onlookers) silence() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.longest
}

// read waits until a batch counts.
func (o *onlookers) read(ctx context.Context, s *server, b *batch) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	topics := b.topics()
	for {
		answer, err := s.client.Load().Counts(ctx, topics, client.Scope{Window: "all"})
		fail(s.t, err)
		unread := 0
		for _, c := range answer.Counts {
			if c.Lower == 0 {
				unread++
			}
		}
		if unread == 0 {
			return
		}
		if !pause(ctx, 20*time.Millisecond) {
			s.t.Fatalf("%d of %d events are not counted\n%s", unread, len(topics), s.node.Log())
		}
	}
}

// topics are those of a batch that was spread.
func (b *batch) topics() (list []string) {
	for _, l := range b.lines {
		list = append(list, strings.Split(string(l), `"`)[3])
	}
	return list
}

// settle asks what became of bare events that were not acknowledged. Each is of a
// topic of its own, and was sent once: it may count once, or not at all.
func (o *onlookers) settle(ctx context.Context, s *server, r *record) {
	s.t.Helper()
	(&comparison{t: s.t, client: s.client.Load()}).atRest(ctx)
	came, all := 0, 0
	for _, b := range o.unsure {
		topics := b.topics()
		answer, err := s.client.Load().Counts(ctx, topics, client.Scope{Window: "all"})
		fail(s.t, err)
		for i, c := range answer.Counts {
			if c.Upper > 1 {
				s.t.Errorf("%s was sent once, not acknowledged, and counts %d times", topics[i], c.Upper)
			}
			if all++; c.Upper > 0 {
				came++
				fail(s.t, r.events.AddLine(b.lines[i]))
			}
		}
	}
	s.t.Logf("of %d bare events that were not acknowledged %d count", all, came)
	for _, text := range o.silent {
		s.t.Errorf("503 without Retry-After: %s", text)
	}
}

// without has two brokers away at once: what is left may not take writes, and has
// no majority of controllers.
func (o *onlookers) without(ctx context.Context, t *testing.T, s *server, brokers kafka.Cluster, rng *rand.Rand) {
	t.Helper()
	away := rng.Perm(len(brokers))[:2]
	for _, n := range away {
		brokers[n].Kill()
	}
	began := time.Now()
	from := &sender{name: "without", rng: rng}
	for {
		before := time.Now()
		quick, stop := context.WithTimeout(ctx, 2*time.Second)
		batch := from.spread(12 * kafkaPartitions)
		_, err := s.client.Load().Ingest(quick, batch.events())
		stop()
		if err == nil {
			t.Fatal("all partitions take writes with one broker of three")
		}
		o.unsure = append(o.unsure, batch)
		var said *client.Error
		if errors.As(err, &said) && time.Since(before) < time.Second {
			if said.Status != http.StatusServiceUnavailable || said.RetryAfter <= 0 {
				t.Errorf("with one broker of three: %v, Retry-After %v", said, said.RetryAfter)
			}
			t.Logf("with one broker of three refused at once from %v on: %v (Retry-After %v)", time.Since(began).Round(time.Millisecond), said, said.RetryAfter)
			break
		}
		if time.Since(began) > 45*time.Second {
			t.Fatalf("with one broker of three ingest waits: %v", err)
		}
	}
	if _, err := s.client.Load().Trending(ctx, client.TrendingQuery{}); err != nil {
		t.Errorf("with one broker of three, a board: %v", err)
	}
	if h, err := s.client.Load().Health(ctx); err == nil {
		t.Logf("health: %s: %s; %s", h.Status, h.Reason, h.Warning)
	}
	// Neither answers before there is a majority again.
	var wg sync.WaitGroup
	errs := make([]error, len(away))
	back := time.Now()
	for i, n := range away {
		wg.Go(func() { errs[i] = brokers[n].Start(ctx) })
	}
	wg.Wait()
	fail(t, errors.Join(errs...))
	t.Logf("both answer again %v after their start", time.Since(back).Round(time.Millisecond))
}

// replicas asks and moves a topic's.
type replicas struct {
	t     *testing.T
	topic string
	admin *kgo.Client
}

// partitions are the topic's, in order.
func (r *replicas) partitions(ctx context.Context) []kmsg.MetadataResponseTopicPartition {
	r.t.Helper()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(r.topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, r.admin)
	fail(r.t, err)
	fail(r.t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
	list := resp.Topics[0].Partitions
	slices.SortFunc(list, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition - b.Partition) })
	return list
}

// inSync waits until every partition has a leader and three replicas in sync.
func (r *replicas) inSync(ctx context.Context) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		list := r.partitions(ctx)
		behind := slices.IndexFunc(list, func(p kmsg.MetadataResponseTopicPartition) bool {
			return p.Leader < 0 || len(p.Replicas) != 3 || len(p.ISR) != 3
		})
		if behind < 0 && len(list) == kafkaPartitions {
			return
		}
		if !pause(ctx, 50*time.Millisecond) {
			r.t.Fatalf("%d partitions are not in sync: %+v", len(list), list)
		}
	}
}

// ledBy is how many partitions a broker leads.
func (r *replicas) ledBy(ctx context.Context, b *kafka.Broker) (n int) {
	r.t.Helper()
	for _, p := range r.partitions(ctx) {
		if p.Leader == b.ID() {
			n++
		}
	}
	return n
}

// rotate has every partition prefer another one of its replicas, elects those,
// and waits until they lead. It returns how many leaders are others.
func (r *replicas) rotate(ctx context.Context) (moved int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	assign := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	elect := kmsg.NewElectLeadersRequestTopic()
	assign.Topic, elect.Topic = r.topic, r.topic
	before := r.partitions(ctx)
	want := map[int32]int32{}
	for _, p := range before {
		one := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		one.Partition, one.Replicas = p.Partition, append(slices.Clone(p.Replicas[1:]), p.Replicas[0])
		assign.Partitions = append(assign.Partitions, one)
		elect.Partitions = append(elect.Partitions, p.Partition)
		want[p.Partition] = one.Replicas[0]
	}
	first := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	first.Topics = append(first.Topics, assign)
	reassigned, err := first.RequestWith(ctx, r.admin)
	fail(r.t, err)
	fail(r.t, kerr.ErrorForCode(reassigned.ErrorCode))
	then := kmsg.NewPtrElectLeadersRequest()
	then.Topics, then.TimeoutMillis = append(then.Topics, elect), 30_000
	elected, err := then.RequestWith(ctx, r.admin)
	fail(r.t, err)
	fail(r.t, kerr.ErrorForCode(elected.ErrorCode))
	for {
		now := r.partitions(ctx)
		if !slices.ContainsFunc(now, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader != want[p.Partition] }) {
			break
		}
		if !pause(ctx, 20*time.Millisecond) {
			r.t.Fatalf("leaders do not move: %+v, want %v", now, want)
		}
	}
	for _, p := range before {
		if p.Leader != want[p.Partition] {
			moved++
		}
	}
	return moved
}
