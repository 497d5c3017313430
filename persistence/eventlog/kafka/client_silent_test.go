package kafka

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// freezer stops brokers where they are: connections to them are made and stay, and
// nothing is answered on any.
type freezer struct {
	mu     sync.Mutex
	frozen map[string]chan struct{} // by address; closed when it goes on
}

func (f *freezer) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return freezingListener{l, f}, err
}

type freezingListener struct {
	net.Listener
	f *freezer
}

func (l freezingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return freezingConn{c, l.f, l.Addr().String()}, err
}

type freezingConn struct {
	net.Conn
	f    *freezer
	addr string
}

func (c freezingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.wait(c.addr)
	return n, err
}

func (c freezingConn) Write(b []byte) (int, error) {
	c.f.wait(c.addr)
	return c.Conn.Write(b)
}

// wait returns when a broker is not frozen.
func (f *freezer) wait(addr string) {
	f.mu.Lock()
	frozen := f.frozen[addr]
	f.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (f *freezer) freeze(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen[addr] = make(chan struct{})
}

// thaw lets all go on.
func (f *freezer) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.frozen {
		close(c)
	}
	clear(f.frozen)
}

// freezing is three brokers that can be frozen, with the topic brokerTopic; the
// first one leads all of its partitions.
func freezing(t *testing.T, partitions int32) (*broker, *freezer) {
	t.Helper()
	f := &freezer{frozen: map[string]chan struct{}{}}
	b := newBroker(t, kfake.NumBrokers(3), kfake.ListenFn(f.listen))
	t.Cleanup(f.thaw) // before the brokers are closed
	if err := b.CreateTopic(brokerTopic, partitions, appendTime); err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		moveTo(t, b, p, 0)
	}
	return b, f
}

func moveTo(t *testing.T, b *broker, p, node int32) {
	t.Helper()
	if err := b.MoveTopicPartition(brokerTopic, p, node); err != nil {
		t.Fatal(err)
	}
}

// underWayAt is whether somebody waits for a broker's answer about a partition.
func underWayAt(l *Log, p, node int32) bool {
	l.client.leaders.mu.Lock()
	defer l.client.leaders.mu.Unlock()
	for f := range l.client.leaders.waiting {
		if f.partition == p && f.asked == node {
			return true
		}
	}
	return false
}

func TestAReadLeavesALeaderThatIsSilent(t *testing.T) {
	b, f := freezing(t, 1)
	cfg := readConfig(t, b.Cluster)
	cfg.Topic = brokerTopic
	l := openLog(t, cfg)
	k := foreignClient(t, b.Cluster, kgo.DefaultProduceTopic(brokerTopic))
	want := numbered("topic", 10)
	produceLines(t, k, 0, want...)
	f.freeze(b.ListenAddrs()[0])
	done := make(chan *haul)
	go func() { done <- readTo(t, l, 0, 0, 10, 0) }()
	eventually(t, "a fetch is under way", func() bool { return underWayAt(l, 0, 0) })
	moveTo(t, b, 0, 1)
	moved := time.Now()
	got := <-done
	if took := time.Since(moved); took >= answerTimeout/2 {
		t.Errorf("it was read after %v", took)
	}
	if !slices.Equal(got.topics(), want) {
		t.Errorf("read %v", got.topics())
	}
	// What the old leader says at last changes nothing.
	f.thaw()
	produceLines(t, k, 0, "last")
	if got := readTo(t, l, 0, 10, 11, 0); !slices.Equal(got.topics(), []string{"last"}) {
		t.Errorf("then read %v", got.topics())
	}
}

// A request with batches of two partitions, written by the leader of both, which is
// silent then. One of them gets another leader.
func TestAWriteLeavesALeaderThatIsSilent(t *testing.T) {
	b, f := freezing(t, 2)
	l := openLog(t, writerConfig(b)) // whose watch asks who leads
	var requests atomic.Int32
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if requests.Add(1) == 1 {
			f.freeze(b.ListenAddrs()[0])
		}
		return nil, nil, false
	})
	s := newSender(l.client, brokerTopic)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	done := []chan error{make(chan error, 1), make(chan error, 1)}
	for p := range done {
		batch := batchOf(t, "batch")
		go func() {
			_, err := s.send(ctx, messages.Partition(p), batch)
			done[p] <- err
		}()
	}
	eventually(t, "both wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting) == 2
	})
	running.Go(func() { s.run(ctx, &running) })
	ends := func() (list [2]int64) {
		for _, p := range b.PartitionInfos(brokerTopic) {
			list[p.Partition] = p.HighWatermark
		}
		return list
	}
	eventually(t, "both are written", func() bool { return ends() == [2]int64{1, 1} })
	moveTo(t, b, 0, 1)
	moved := time.Now()
	if err := <-done[0]; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(moved); took >= answerTimeout/2 {
		t.Errorf("the new leader took it after %v", took)
	}
	select {
	case err := <-done[1]:
		t.Fatalf("the leader of partition 1 is silent, and its write ends with %v", err)
	default:
	}
	f.thaw()
	if err := <-done[1]; err != nil {
		t.Fatal(err)
	}
	if ends() != [2]int64{2, 1} || requests.Load() != 2 {
		t.Errorf("the partitions end at %v after %d requests", ends(), requests.Load())
	}
}

// batchOf is a batch of one record.
func batchOf(t *testing.T, value string) []byte {
	t.Helper()
	e, err := newBatchEncoder("lz4")
	if err != nil {
		t.Fatal(err)
	}
	e.add(1, nil, []byte(value), nil)
	batch, err := e.seal()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(batch)
}

func TestABatchThatTwoLeadersDoNotAnswerIsItsWritersAgain(t *testing.T) {
	c := new(client)
	s := newSender(c, brokerTopic)
	one := &sending{done: make(chan sent, 1), deadline: time.Now().Add(time.Minute)}
	u := &underWay{sender: s, left: make([]bool, 1), staying: 1, cancel: func() {}}
	u.leave(0, one)
	if len(s.waiting) != 1 || len(one.done) > 0 || u.end() {
		t.Fatalf("%d batches wait, %d are done", len(s.waiting), len(one.done))
	}
	again := &underWay{sender: s, left: make([]bool, 1), staying: 1, cancel: func() {}}
	again.leave(0, one)
	if len(s.waiting) != 1 || len(one.done) != 1 {
		t.Fatalf("%d batches wait, %d are done", len(s.waiting), len(one.done))
	}
	if r := <-one.done; verdict(r.err) != outcomeUnknown {
		t.Errorf("%v", r.err)
	}
	answered := &underWay{sender: s, left: make([]bool, 1), staying: 1, cancel: func() {}}
	if !answered.end() {
		t.Fatal("nothing is left of it")
	}
	if answered.leave(0, one); answered.left[0] || len(one.done) > 0 {
		t.Error("a batch left a request that was answered")
	}
}

// Whichever broker is asked first, and is silent, another one answers.
func TestAnyBrokerAnswersForOthers(t *testing.T) {
	b, f := freezing(t, 1)
	cfg := writerConfig(b)
	for answers, addr := range b.ListenAddrs() {
		c, err := newClient(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if _, err := c.metadata(t.Context(), brokerTopic); err != nil {
			t.Fatal(err)
		}
		for _, other := range b.ListenAddrs() {
			if other != addr {
				f.freeze(other)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		c.forgetVersions()
		began := time.Now()
		if m, err := c.metadata(ctx, brokerTopic); err != nil || m.leaders[0] != 0 {
			t.Errorf("only broker %d answers: %+v, %v", answers, m, err)
		}
		if took := time.Since(began); took >= answerTimeout/2 {
			t.Errorf("only broker %d answers, after %v", answers, took)
		}
		cancel()
		f.thaw()
	}
}

// The watch does not wait for where partitions end while it could hear who leads
// them.
func TestTheWatchGoesOnWhileALeaderIsSilent(t *testing.T) {
	b, f := freezing(t, 1)
	l := openLog(t, writerConfig(b))
	f.freeze(b.ListenAddrs()[0])
	moveTo(t, b, 0, 1)
	moveTo(t, b, 0, 0)
	epoch := b.PartitionInfos(brokerTopic)[0].Epoch
	w := &watch{log: l}
	began := time.Now()
	w.poll(t.Context())
	if took := time.Since(began); took >= pollTimeout {
		t.Errorf("it took %v", took)
	}
	l.client.leaders.mu.Lock()
	defer l.client.leaders.mu.Unlock()
	if got := l.client.leaders.epochs[0]; got != epoch {
		t.Errorf("it has heard of epoch %d, and it is %d", got, epoch)
	}
}

// TestAPartitionWhoseLeaderIsSilentIsTold, long before it is given up; that nothing
// has come is no silence.
func TestAPartitionWhoseLeaderIsSilentIsTold(t *testing.T) {
	b, f := freezing(t, 2)
	moveTo(t, b, 1, 1)
	text := new(lines)
	cfg := readConfig(t, b.Cluster)
	cfg.Topic, cfg.FetchWait, cfg.Logger = brokerTopic, silentFor+time.Second, text.logger()
	l := openLog(t, cfg)
	fetches := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	for p := range messages.Partition(2) {
		reading.Go(func() { _ = l.Read(ctx, p, 0, &messages.Batch{}) })
	}
	eventually(t, "both were waited for, and again", func() bool { return fetches.Hits() >= 4 })
	if text.count("reading failed") > 0 {
		t.Fatalf("nothing has come, and it is said that reading fails: %s", &text.b)
	}
	f.freeze(b.ListenAddrs()[0])
	frozen := time.Now()
	unread := make([]bool, 2)
	eventually(t, "health says so", func() bool { l.Unread(unread); return unread[0] })
	if took := time.Since(frozen); took >= answerTimeout*3/4 {
		t.Errorf("told after %v", took)
	}
	if unread[1] {
		t.Error("the other one counts as unread")
	}
	if text.count("reading failed") != 1 || text.count("broker 0 does not answer") != 1 {
		t.Errorf("logged: %s", &text.b)
	}
	f.thaw()
	eventually(t, "it can be read again", func() bool { return l.ReadErr() == nil })
}
