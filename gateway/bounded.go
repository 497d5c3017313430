package gateway

import (
	"context"
	"sync"
	"time"
)

// bounded is a request's context with further ends. Timers and watchers are
// made only when somebody waits for it, which most requests never do: those of
// the context package, made for every request, were a twentieth of the cost of
// an event that comes alone.
type bounded struct {
	context.Context                 // the request's
	deadline        time.Time       // zero: none
	cutOff          context.Context // ends this one, too; nil: none

	mu      sync.Mutex
	waited  context.Context // made by the first who waits
	release func()          // of what waited takes
}

// Deadline is the earlier of the request's and its own.
func (b *bounded) Deadline() (time.Time, bool) {
	at, ok := b.Context.Deadline()
	if b.deadline.IsZero() || ok && at.Before(b.deadline) {
		return at, ok
	}
	return b.deadline, true
}

// Done is closed at the first of its ends.
func (b *bounded) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waited == nil {
		b.waitLocked()
	}
	return b.waited.Done()
}

func (b *bounded) waitLocked() {
	ctx, cancel := context.WithCancel(b.Context)
	b.waited, b.release = ctx, cancel
	if !b.deadline.IsZero() {
		inner := cancel
		b.waited, cancel = context.WithDeadline(ctx, b.deadline)
		b.release = func() { cancel(); inner() }
	}
	if b.cutOff != nil {
		release := b.release
		stop := context.AfterFunc(b.cutOff, release)
		b.release = func() { stop(); release() }
	}
}

// Err says why it has ended; nil before.
func (b *bounded) Err() error {
	b.mu.Lock()
	waited := b.waited
	b.mu.Unlock()
	switch {
	case waited != nil && waited.Err() != nil:
		return waited.Err()
	case b.Context.Err() != nil:
		return b.Context.Err()
	case b.cutOff != nil && b.cutOff.Err() != nil:
		return context.Canceled
	case !b.deadline.IsZero() && !time.Now().Before(b.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// end gives back what was made for those who waited. Nobody waits any more.
func (b *bounded) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.release != nil {
		b.release()
	}
}
