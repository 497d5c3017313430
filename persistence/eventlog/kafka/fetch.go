package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

// fetched is what one fetch brought. It belongs to whoever fetched, who gives
// its buffer back with free.
type fetched struct {
	records []byte // record batches; the last one may be cut off
	aborted []abortedTransaction
	// highWatermark is behind the last record that all in-sync replicas have,
	// lastStable behind the last of which it is known whether it was aborted.
	highWatermark, lastStable, logStart int64

	buffer []byte // what records lie in
}

// answers are buffers for fetches that bring something. They are of the size of a
// fetch, mostly.
var answers sync.Pool

// smallAnswer is one that is not worth such a buffer.
const smallAnswer = 16 << 10

// answerRoom is a buffer for an answer of n bytes.
func answerRoom(n int) []byte {
	if n > smallAnswer {
		if b, ok := answers.Get().(*[]byte); ok && cap(*b) >= n {
			return (*b)[:n]
		}
	}
	return make([]byte, n)
}

// free gives the buffer back: nobody may use records any more.
func (f *fetched) free() {
	if n := cap(f.buffer); n > smallAnswer && n <= maxKept {
		b := f.buffer[:0]
		answers.Put(&b)
	}
	*f = fetched{}
}

// fetch reads a partition from an offset on, only what is committed. It waits
// until there is something, wait at the longest. A batch comes whole, also one
// above maxBytes. The error is errMoved as soon as the partition has another leader
// than the one asked; after any other one it is asked who leads.
func (c *client) fetch(ctx context.Context, p messages.Partition, from messages.Offset, maxBytes int, wait time.Duration) (*fetched, error) {
	return c.fetchTelling(ctx, p, from, maxBytes, wait, func() {})
}

// fetchTelling is fetch that calls begun when the answer has begun to come.
func (c *client) fetchTelling(ctx context.Context, p messages.Partition, from messages.Offset, maxBytes int, wait time.Duration, begun func()) (*fetched, error) {
	leader := c.leaders.of(int32(p))
	asking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.leaders.whenMoved(int32(p), leader, func() { cancel(errMoved) })()
	f, err := c.fetchFrom(asking, leader, p, from, maxBytes, wait, begun)
	switch {
	case err == nil:
	case context.Cause(asking) == errMoved:
		return nil, errMoved
	default:
		// Before it is tried again: the leader may be another one by now.
		c.learnLeaders(ctx)
	}
	return f, err
}

// fetchFrom is a fetch from a broker; -1: from the leader, as kafka-go knows it.
func (c *client) fetchFrom(ctx context.Context, leader int32, p messages.Partition, from messages.Offset, maxBytes int, wait time.Duration, begun func()) (*fetched, error) {
	s, err := c.versions(ctx)
	if err != nil {
		return nil, err
	}
	x := &exchange{api: apiFetch, version: 11, route: toBroker(leader)}
	if leader < 0 {
		x.route = toLeader(c.cfg.Topic, int32(p))
	}
	x.room = func(n int) []byte {
		begun()
		return answerRoom(n)
	}
	id := c.topic.Load()
	if s.fetch >= 13 && id != nil && *id != [16]byte{} {
		// By its id: a topic made again under the name is another one.
		x.version, x.flexible = 13, true
	}
	x.body = fetchRequest(x, c.cfg.Topic, id, int32(p), int64(from), maxBytes, wait)
	if err := c.ask(ctx, x, wait); err != nil {
		if ctx.Err() == nil {
			c.forgetVersions()
		}
		return nil, err
	}
	f, err := parseFetch(x, int32(p))
	if err != nil {
		(&fetched{buffer: x.answer}).free()
		return nil, err
	}
	f.buffer = x.answer
	return f, nil
}

func fetchRequest(x *exchange, topic string, id *[16]byte, p int32, from int64, maxBytes int, wait time.Duration) []byte {
	w := wireWriter{b: make([]byte, 0, 128+len(topic)), flexible: x.flexible}
	w.int32(-1) // no replica
	w.int32(int32(wait / time.Millisecond))
	w.int32(1) // byte is enough to answer
	w.int32(int32(maxBytes))
	w.int8(1)   // committed only
	w.int32(0)  // no session
	w.int32(-1) //
	w.array(1)
	if x.version >= 13 {
		w.uuid(*id)
	} else {
		w.str(topic)
	}
	w.array(1)
	w.int32(p)
	w.int32(-1) // any leader's epoch
	w.int64(from)
	if x.version >= 12 {
		w.int32(-1) // epoch of the last record
	}
	w.int64(-1) // log start, of replicas
	w.int32(int32(maxBytes))
	w.tags()
	w.tags()
	w.array(0) // forgotten of the session
	w.str("")  // rack: from the leader
	w.tags()
	return w.b
}

func parseFetch(x *exchange, p int32) (*fetched, error) {
	r, f := x.reader(), new(fetched)
	r.int32() // throttled for
	code := kafkago.Error(r.int16())
	r.int32() // session
	if code == 0 {
		found := false
		for n := r.array(); n > 0 && !r.bad; n-- {
			if x.version >= 13 {
				r.uuid()
			} else {
				r.str()
			}
			for n := r.array(); n > 0 && !r.bad; n-- {
				found = r.int32() == p
				code = kafkago.Error(r.int16())
				f.parse(&r)
			}
			r.tags()
		}
		if !r.bad && !found {
			return nil, fmt.Errorf("the broker's answer has not partition %d", p)
		}
	}
	switch {
	case r.bad:
		return nil, errors.New("the broker's answer cannot be read")
	case code != 0:
		return nil, code
	}
	return f, nil
}

func (f *fetched) parse(r *wireReader) {
	f.highWatermark, f.lastStable, f.logStart = r.int64(), r.int64(), r.int64()
	if n := r.array(); n > 0 {
		f.aborted = make([]abortedTransaction, 0, n)
		for ; n > 0 && !r.bad; n-- {
			f.aborted = append(f.aborted, abortedTransaction{producer: r.int64(), first: r.int64()})
			r.tags()
		}
	}
	r.int32() // a better replica to read from
	f.records = r.bytes()
	r.tags()
}
