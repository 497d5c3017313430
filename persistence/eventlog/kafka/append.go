package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

// Append adds the blocks of a frame and returns when each of them is on all
// in-sync replicas of its partition. It fills pos, one entry per partition: behind
// the frame's last record where it has a block, else 0. The frame is the caller's
// again when Append returns.
//
// An error that wraps messages.ErrStopped says nothing about what is in the log:
// some of the blocks may be, or may still come to be within Config.GiveUp, none
// after it. Any other error is a frame that can never be written (a mistake of
// the caller's; messages.ErrTooLarge, a record larger than the topic takes);
// blocks that can, may be there. When as many bytes wait to be written as may, Append waits too.
func (l *Log) Append(ctx context.Context, f *messages.Frame, pos messages.Position) error {
	if err := l.append(ctx, f, pos); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

func (l *Log) append(ctx context.Context, f *messages.Frame, pos messages.Position) error {
	if err := checkFrame(f, l.id.Partitions); err != nil {
		return err
	}
	if len(pos) != l.id.Partitions {
		return fmt.Errorf("position of %d partitions: want %d", len(pos), l.id.Partitions)
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return gaveUp(err, eventlog.NotInTheLog)
	}
	a := &pending{
		deadline: time.Now().Add(l.cfg.GiveUp),
		ends:     make([]messages.Offset, len(f.Blocks)),
		done:     make(chan struct{}),
	}
	// Room first: an append that waits for it holds nothing but the caller's frame.
	a.weight = min(weightOf(f, l.cfg.Write), l.cfg.MaxWaiting)
	if err := l.reserve(ctx, a); err != nil {
		return err
	}
	parts, err := partsOf(f, a, l.cfg.Write, l.cfg.MaxRecord)
	if err == nil {
		a.left = len(parts)
		err = l.enqueue(a, parts)
	}
	if err != nil {
		l.waiting.Release(a.weight)
		return err
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		select {
		case <-a.done:
		default:
			a.leave()
			return gaveUp(ctx.Err(), eventlog.MaybeInTheLog)
		}
	}
	if a.err != nil {
		return a.err
	}
	clear(pos)
	for i := range f.Blocks {
		pos[f.Blocks[i].Partition] = a.ends[i]
	}
	return nil
}

// checkFrame refuses what cannot be written: a caller's mistake.
func checkFrame(f *messages.Frame, partitions int) error {
	switch {
	case f.Kind < messages.FrameEvents || f.Kind > messages.FrameControl:
		return fmt.Errorf("unknown kind %d", f.Kind)
	case len(f.Key) > messages.MaxKeyBytes:
		return fmt.Errorf("key of %d bytes: at most %d", len(f.Key), messages.MaxKeyBytes)
	case f.Follows != nil && f.Key == "":
		return errors.New("it follows, and has no key")
	case len(f.Blocks) == 0:
		return errors.New("no blocks")
	}
	for i := range f.Blocks {
		p := f.Blocks[i].Partition
		if int(p) >= partitions || i > 0 && p <= f.Blocks[i-1].Partition {
			return fmt.Errorf("block %d is for partition %d: want ascending ones below %d", i, p, partitions)
		}
	}
	return nil
}

// weightOf is what the parts of a frame take while they wait, and not much more.
func weightOf(f *messages.Frame, write Write) int64 {
	n := int64(f.Bytes())
	if write == WriteEvents {
		for i := range f.Blocks {
			n += 3*int64(len(f.Blocks[i].Data)) + eventWeight*int64(f.Blocks[i].Records)
		}
	}
	return n
}

// reserve waits for room among what waits to be written.
func (l *Log) reserve(ctx context.Context, a *pending) error {
	if l.waiting.TryAcquire(a.weight) {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, a.deadline)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	err := l.waiting.Acquire(ctx, a.weight)
	switch {
	case err == nil:
		return nil
	case l.open.Err() != nil:
		return errClosed
	}
	return gaveUp(err, eventlog.NotInTheLog)
}

// enqueue hands the parts to the writers of their partitions.
func (l *Log) enqueue(a *pending, parts []part) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // then the writers may be gone
		return errClosed
	}
	a.release = l.waiting
	for i := range parts {
		l.writers[parts[i].partition].add(&parts[i])
	}
	return nil
}

// pending is an append that waits for its parts.
type pending struct {
	deadline time.Time // no part is sent after it
	weight   int64     // the bytes that its parts may take
	release  interface{ Release(int64) }
	gone     atomic.Bool // nobody waits any more, or it has failed

	mu   sync.Mutex
	left int               // parts that are not settled
	err  error             // the first
	ends []messages.Offset // by block; the appender's once done is closed
	done chan struct{}     // closed when left is 0
}

// leave says that nobody waits: what was not sent yet need not be.
func (a *pending) leave() { a.gone.Store(true) }

// settle is called once for each part: with the offset behind it, or an error.
func (a *pending) settle(block int, end messages.Offset, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.ends[block] = max(a.ends[block], end)
	} else {
		a.gone.Store(true)
		if a.err == nil {
			a.err = err
		}
	}
	if a.left--; a.left == 0 {
		a.release.Release(a.weight)
		close(a.done)
	}
}

var (
	errClosed = fmt.Errorf("%w: it is closed", messages.ErrStopped)
	errGone   = fmt.Errorf("%w: nobody waits for it", messages.ErrStopped)
)

func gaveUp(cause error, outcome string) error {
	return &eventlog.GaveUpError{Cause: cause, WaitedAs: "to be written", Outcome: outcome}
}
