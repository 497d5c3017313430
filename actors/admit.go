package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crestdb/crest/messages"
)

// Admit tells whether a frame may be appended now: nil, or a
// *messages.RefusedError that says when to try again, or an error that says
// why not. ids: the frame carries event ids or an Idempotency-Key.
//
// It is the only place where a full dedup table acts. What has passed it and is
// in the log is counted and remembered. The engine's own memory is never full:
// rows leave it (see window.Table). But what cannot leave (topics that are kept
// in preference to their regions, the totals of very many cells) may outgrow a
// small budget; before that endangers the process, events are refused.
//
// A partition that has lost what comes next in its log refuses nothing: what is
// appended to it is as durable as what others write there, and is counted by other
// nodes, and by this one once it has a state again that reaches the log. One that
// has failed otherwise may have a log that cannot be read, and refuses everything.
func (e *Engine) Admit(ctx context.Context, f *messages.Frame, ids bool) error {
	if err := e.Ready(); err != nil && !errors.Is(err, messages.ErrLost) {
		return err
	}
	if lag := e.lag(); lag > e.cfg.MaxLag {
		return &messages.RefusedError{Reason: fmt.Sprintf("the engine is behind by %d log entries; send slower", lag), RetryAfter: time.Second}
	}
	if e.progress.engineBytes() >= 2*e.cfg.EngineMemory+memorySlack {
		return &messages.RefusedError{
			Reason:     "the engine holds more than twice its share of --memory and cannot make room fast enough; send slower, or raise --memory if this lasts",
			RetryAfter: 5 * time.Second,
		}
	}
	if ids && e.progress.dedupBytes() >= e.cfg.DedupMemory {
		e.tick(ctx)
		return &messages.RefusedError{
			Reason:     "the table of event ids and Idempotency-Keys is full; it empties as the dedup window moves on. Send slower, or raise --dedup-memory or shorten --dedup-window",
			RetryAfter: time.Second,
		}
	}
	return nil
}

// memorySlack is what the engine may hold beyond twice its share: the fixed
// cost of its tables, which a tiny share would not cover.
const memorySlack = 32 << 20

// lag is how many log entries are durable and not yet counted.
func (e *Engine) lag() uint64 {
	ends := make(messages.Position, e.cfg.Identity.Partitions)
	e.cfg.Log.Ends(ends)
	return e.progress.lag(ends)
}

// tick moves log time on, at most once a second: a full dedup table forgets by
// log time, and while everything with ids is refused nothing else moves it.
func (e *Engine) tick(ctx context.Context) {
	now, last := int64(e.sinceStart()), e.lastTick.Load()
	if last != 0 && now-last < int64(time.Second) || !e.lastTick.CompareAndSwap(last, now) {
		return
	}
	if err := e.appendAll(ctx, messages.FrameTick, nil); err != nil {
		e.cfg.Logger.Warn("tick not appended; the full dedup table stays full until events arrive", "error", err)
	}
}

// SetSettings makes other settings hold from here on: a control record in
// every partition. It returns once they are in force in all that have not failed.
func (e *Engine) SetSettings(ctx context.Context, s messages.Settings) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return e.appendAll(ctx, messages.FrameControl, s.AppendTo(nil))
}

// appendAll appends a frame with one block for every partition and waits until
// it is applied in all that have not failed.
func (e *Engine) appendAll(ctx context.Context, kind messages.FrameKind, data []byte) error {
	f := &messages.Frame{Kind: kind, Stamp: e.cfg.Now()}
	for p := range messages.Partition(e.cfg.Identity.Partitions) {
		f.Blocks = append(f.Blocks, messages.Block{Partition: p, Data: data})
	}
	pos := make(messages.Position, e.cfg.Identity.Partitions)
	if err := e.cfg.Log.Append(ctx, f, pos); err != nil {
		return fmt.Errorf("append to every partition: %w", err)
	}
	return behind(ctx, e.progress.awaitRunning(ctx, pos))
}

// Seen tells what a frame stamped from now on will meet under its
// Idempotency-Key, as of what the key's home partition has counted. A *messages.PartitionError if
// that has failed: what it has counted decides about keys no more.
func (e *Engine) Seen(ctx context.Context, q *messages.KeyQuery) (messages.KeyVerdict, error) {
	home := e.routes.Home(q.Key)
	if err := e.progress.failedOf(home); err != nil {
		return messages.KeyVerdict{}, err
	}
	answer, err := e.ask(ctx, e.ingests[home], keyAsk{q, e.cfg.Now()})
	if err != nil {
		return messages.KeyVerdict{}, unanswered(err)
	}
	return *answer.(*messages.KeyVerdict), nil
}
