package eventlog

import (
	"context"
	"fmt"

	"github.com/crestdb/crest/messages"
)

// Append adds a frame and returns when it is durable. It fills pos, one entry
// per partition: behind the frame's block where there is one, else 0. The
// frame is the caller's again when Append returns.
//
// An error wraps messages.ErrStopped if the log takes no frames, or if ctx
// ended (then it also wraps ctx's error, and if the frame was already waiting
// for the disk it may or may not come to be in the log). Any other error is a
// frame that cannot be encoded. When as many bytes wait for the disk as may,
// Append waits too.
func (l *Log) Append(ctx context.Context, f *messages.Frame, pos messages.Position) error {
	if err := checkFrame(f, l.id.Partitions); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if len(pos) != l.id.Partitions {
		return fmt.Errorf("append: position of %d partitions: want %d", len(pos), l.id.Partitions)
	}
	n := frameSize(f)
	var own []byte
	if n > ownBytes {
		own = make([]byte, n)
		encodeFrame(own, f)
	}
	g, err := l.enqueue(ctx, f, own, n, pos)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		select {
		case <-g.done:
		default:
			return fmt.Errorf("append: %w", gaveUp(ctx.Err(), MaybeInTheLog))
		}
	}
	if g.err != nil {
		return fmt.Errorf("append: %w", g.err)
	}
	return nil
}

// enqueue puts the frame into the pending group, as soon as that has room.
func (l *Log) enqueue(ctx context.Context, f *messages.Frame, own []byte, n int, pos messages.Position) (*group, error) {
	if err := ctx.Err(); err != nil {
		return nil, gaveUp(err, NotInTheLog)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if err := l.errLocked(); err != nil {
			return nil, err
		}
		if l.pending.fits(n, l.cfg.GroupBytes) {
			break
		}
		if err := l.awaitRoomLocked(ctx); err != nil {
			return nil, err
		}
	}
	b := own
	if b == nil {
		b = l.arena.take(n)
		encodeFrame(b, f)
	}
	placeFrame(b, f, l.next, pos)
	g := l.pending
	g.join(b, f.Stamp)
	l.stats.pending.Add(int64(n))
	select {
	case l.poke <- struct{}{}:
	default: // the committer knows already
	}
	return g, nil
}

// awaitRoomLocked waits, without the lock, until the pending group has been
// taken.
func (l *Log) awaitRoomLocked(ctx context.Context) error {
	taken := l.pending.taken
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return gaveUp(ctx.Err(), NotInTheLog)
	}
}

func gaveUp(cause error, outcome string) error {
	return &GaveUpError{Cause: cause, WaitedAs: "for the disk", Outcome: outcome}
}
