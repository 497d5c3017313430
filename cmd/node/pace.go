package node

import (
	"context"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
)

// paced is a log that hands out at most so many entries a second, all
// partitions together, so that the engine is as slow as a test wants it. What
// is appended, and what is acknowledged, is not held back.
type paced struct {
	Log
	each time.Duration // between two entries

	mu   sync.Mutex
	next time.Time // when the next entry may be read
}

// pacedReadBytes bounds a read, so that the pace is even.
const pacedReadBytes = 16 << 10

func newPaced(log Log, perSecond uint64) *paced {
	return &paced{Log: log, each: time.Second / time.Duration(perSecond)}
}

// Read implements actors.Log.
func (l *paced) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	b.MaxBytes = pacedReadBytes
	if err := l.Log.Read(ctx, p, from, b); err != nil {
		return err
	}
	wait := time.NewTimer(l.turn(time.Now(), b.Records()))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn is how long to wait with n entries from now on.
func (l *paced) turn(now time.Time, n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(time.Duration(n) * l.each)
	return l.next.Sub(now)
}
