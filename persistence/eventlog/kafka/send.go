package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

const (
	// linger is how long a batch waits for those of other partitions: a request of
	// a client has events for nearly all of them, at the same moment.
	linger = 500 * time.Microsecond
	// maxRequest bounds a produce request, but for one batch.
	maxRequest = 8 << 20
	// leastTry is how much time a batch needs to be sent to another leader at once.
	leastTry = 2 * time.Second
)

// sender sends the batches of all writers: those of partitions with the same
// leader in one request. A broker's work, and ours, is by requests much more than
// by bytes.
type sender struct {
	client *client
	topic  string

	poke chan struct{} // cap 1: something waits
	mu   sync.Mutex
	// waiting has at most one for each partition.
	waiting []*sending
}

// sending is a batch on its way to a partition.
type sending struct {
	partition int32
	batch     []byte
	deadline  time.Time // it is not sent after it
	done      chan sent // cap 1
	gone      atomic.Bool
	// first is why it was sent again, to another leader; nil: it was not.
	first error
}

// sent is what became of it; base is the offset of its first record.
type sent struct {
	base int64
	err  error
}

func newSender(c *client, topic string) *sender {
	return &sender{client: c, topic: topic, poke: make(chan struct{}, 1)}
}

// send writes a batch, which becomes the sender's, and returns when all in-sync
// replicas have it, or ctx has ended. Of an error verdict tells what it means.
func (s *sender) send(ctx context.Context, p messages.Partition, batch []byte) (base int64, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(tryTimeout)
	}
	one := &sending{partition: int32(p), batch: batch, deadline: deadline, done: make(chan sent, 1)}
	s.queue(one)
	select {
	case r := <-one.done:
		return r.base, r.err
	case <-ctx.Done():
		one.gone.Store(true)
		return 0, ctx.Err()
	}
}

// queue has a batch sent with the next request to its leader.
func (s *sender) queue(one *sending) {
	s.mu.Lock()
	s.waiting = append(s.waiting, one)
	s.mu.Unlock()
	select {
	case s.poke <- struct{}{}:
	default: // it knows already
	}
}

// run sends until ctx ends. The requests under way are part of running.
func (s *sender) run(ctx context.Context, running *sync.WaitGroup) {
	t := time.NewTimer(linger)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.poke:
		}
		t.Reset(linger)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, group := range s.take() {
			running.Go(func() { s.exchange(ctx, group.leader, group.list) })
		}
	}
}

// sendingGroup is what goes into one request.
type sendingGroup struct {
	leader int32
	bytes  int
	list   []*sending
}

// take groups what waits by leader.
func (s *sender) take() (groups []*sendingGroup) {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	open := map[int32]*sendingGroup{}
	for _, one := range waiting {
		if one.gone.Load() {
			continue
		}
		leader := s.client.leaders.of(one.partition)
		g := open[leader]
		if g == nil || g.bytes+len(one.batch) > maxRequest {
			g = &sendingGroup{leader: leader}
			open[leader] = g
			groups = append(groups, g)
		}
		g.list, g.bytes = append(g.list, one), g.bytes+len(one.batch)
	}
	return groups
}

// exchange sends one request and tells each batch what became of it. One that may
// be tried again, and has another leader by now, goes there first: its writer would
// pause, and it was asked for as long as there was no leader.
func (s *sender) exchange(ctx context.Context, leader int32, list []*sending) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := &underWay{sender: s, leader: leader, left: make([]bool, len(list)), staying: len(list), cancel: cancel}
	for i, one := range list {
		defer s.client.leaders.whenMoved(one.partition, leader, func() { u.leave(i, one) })()
	}
	results, err := s.ask(ctx, leader, list)
	if !u.end() {
		return
	}
	stale := err != nil
	if err != nil {
		results = make([]sent, len(list))
		for i := range results {
			results[i].err = err
		}
	}
	for i, one := range list {
		if u.left[i] {
			continue
		}
		if results[i].err == nil {
			one.done <- results[i] // it does not wait for what becomes of the others
		}
		stale = stale || verdict(results[i].err) == outcomeUnknown
	}
	if stale {
		// Before they are tried again: the leader may be another one by now.
		s.client.learnLeaders(ctx)
	}
	for i, one := range list {
		r := results[i]
		switch {
		case u.left[i], r.err == nil:
		case r.err != nil && (one.first != nil || verdict(r.err) == outcomeUnknown && s.client.leaders.moved(one.partition, leader)):
			s.again(one, r.err)
		default:
			one.done <- r
		}
	}
}

// again sends a batch to another leader, if it is the first time and there is time:
// a request ends when the first of its batches has to.
func (s *sender) again(one *sending, why error) {
	switch {
	case one.first != nil:
		// A refusal would say that it was not written; the first try may have.
		one.done <- sent{err: one.first}
	case time.Until(one.deadline) < leastTry:
		one.done <- sent{err: why}
	default:
		one.first = why
		s.queue(one)
	}
}

// underWay is a request whose batches leave it for another leader as soon as there
// is one: the broker that has it may be silent for ever.
type underWay struct {
	sender *sender
	leader int32
	cancel context.CancelFunc // of the request

	mu      sync.Mutex
	ended   bool
	left    []bool // by batch; nobody changes it once ended
	staying int
}

// leave sends a batch to the leader that its partition has by now.
func (u *underWay) leave(i int, one *sending) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return
	}
	u.left[i] = true
	u.sender.again(one, fmt.Errorf("broker %d has not answered a write: %w", u.leader, errMoved))
	if u.staying--; u.staying == 0 {
		u.cancel()
	}
}

// end keeps what is there where it is, and tells whether that is anything.
func (u *underWay) end() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	return u.staying > 0
}

func (s *sender) ask(ctx context.Context, leader int32, list []*sending) ([]sent, error) {
	if leader < 0 {
		return nil, kafkago.LeaderNotAvailable
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // they have left already
	}
	deadline := list[0].deadline
	for _, one := range list {
		if one.deadline.Before(deadline) {
			deadline = one.deadline
		}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	x := produceRequest(s.topic, list...)
	x.route = toBroker(leader)
	if err := s.client.ask(ctx, x, 0); err != nil {
		return nil, err
	}
	return parseProduced(x, list)
}

// produceRequest is a request to write batches. It has its own copy of them: it is
// the connection's when whoever waits for it gives up.
func produceRequest(topic string, list ...*sending) *exchange {
	size := len(topic) + 64
	for _, one := range list {
		size += len(one.batch) + 16
	}
	w := wireWriter{b: make([]byte, 0, size)}
	w.int16(-1) // no transaction
	w.int16(-1) // acks: all
	w.int32(int32(replicaTimeout / time.Millisecond))
	w.array(1)
	w.str(topic)
	w.array(len(list))
	for _, one := range list {
		w.int32(one.partition)
		w.int32(int32(len(one.batch)))
		w.b = append(w.b, one.batch...)
	}
	return &exchange{api: apiProduce, version: produceVersion, body: w.b}
}

// parseProduced is what the answer says of each batch.
func parseProduced(x *exchange, list []*sending) ([]sent, error) {
	r := x.reader()
	results := make([]sent, len(list))
	for i := range results {
		results[i].err = errNoAnswer
	}
	for n := r.array(); n > 0 && !r.bad; n-- {
		r.str() // topic
		for n := r.array(); n > 0 && !r.bad; n-- {
			partition := r.int32()
			result := parseProducedPartition(&r)
			for i := range list {
				if list[i].partition == partition && !r.bad {
					results[i] = result
				}
			}
		}
	}
	if r.bad {
		return nil, errNoAnswer
	}
	return results, nil
}

var errNoAnswer = errors.New("the broker's answer to a write cannot be read")

func parseProducedPartition(r *wireReader) (result sent) {
	code, message := kafkago.Error(r.int16()), ""
	result.base = r.int64()
	r.int64() // append time
	r.int64() // log start
	for n := r.array(); n > 0 && !r.bad; n-- {
		r.int32() // record
		if s := r.str(); message == "" {
			message = s
		}
	}
	if s := r.str(); s != "" {
		message = s
	}
	switch {
	case code != 0 && message != "":
		result.err = fmt.Errorf("%w (%s)", code, message)
	case code != 0:
		result.err = code
	case result.base < 0:
		result.err = errNoAnswer
	}
	return result
}
