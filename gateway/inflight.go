package gateway

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
)

// budget is the memory that ingest requests in flight may hold together:
// bodies as they arrive, decoded bodies, and the frames made of them. A request
// takes bytes before it allocates them. When there are none left it waits its
// turn, briefly: then the client is told to come again (429), so a full node
// pushes back instead of growing.
type budget struct {
	limit int64
	wait  time.Duration // how long a request waits for bytes

	mu      sync.Mutex
	used    int64
	waiting list.List // of *claim, first come first served
}

// claim is a request waiting for bytes; granted is closed when it has them.
type claim struct {
	bytes   int64
	granted chan struct{}
}

func newBudget(limit int64, wait time.Duration) *budget { return &budget{limit: limit, wait: wait} }

// take gets n bytes, or a *messages.RefusedError once the wait is over.
func (b *budget) take(ctx context.Context, n int64) error {
	b.mu.Lock()
	if b.waiting.Len() == 0 && b.used+n <= b.limit {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	c := &claim{bytes: n, granted: make(chan struct{})}
	place := b.waiting.PushBack(c)
	b.mu.Unlock()

	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	err := error(&messages.RefusedError{
		Reason:     fmt.Sprintf("requests in flight hold all of the %d bytes they may", b.limit),
		RetryAfter: time.Second,
	})
	select {
	case <-c.granted:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-c.granted: // meanwhile
		return nil
	default:
	}
	b.waiting.Remove(place)
	b.grantLocked() // the next one may want less
	return err
}

// force takes n bytes without asking, also beyond the limit: for what turned
// out larger than planned. Requests that ask wait until it is back.
func (b *budget) force(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
}

// give returns bytes.
func (b *budget) give(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.used < 0 {
		panic("gateway: more bytes given back than were taken")
	}
	b.grantLocked()
}

func (b *budget) grantLocked() {
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		c := e.Value.(*claim)
		if b.used+c.bytes > b.limit {
			return
		}
		b.used += c.bytes
		b.waiting.Remove(e)
		close(c.granted)
	}
}

// inFlight is how many bytes are taken.
func (b *budget) inFlight() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
