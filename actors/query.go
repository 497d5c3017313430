package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// askTimeout bounds a question whose context has no deadline.
const askTimeout = 5 * time.Second

// Board is the top of a cell. It is shared by all who asked for the same:
// callers do not change it.
func (e *Engine) Board(ctx context.Context, q *messages.BoardQuery) (*messages.Board, error) {
	if _, err := e.await(ctx, q.After, needsAll); err != nil {
		return nil, err
	}
	key := boardKey{q.Window, q.Cell}
	for {
		h, err := e.board(key)
		if err != nil {
			return nil, err
		}
		if b := h.read(q); b != nil {
			h.askers.Add(-1)
			return b, nil
		}
		answer, err := e.ask(ctx, h.actor, q)
		h.askers.Add(-1)
		if errors.Is(err, errGone) && ctx.Err() == nil {
			e.retire(h) // it ended while the query was on its way
			continue
		}
		if err != nil {
			return nil, unanswered(err)
		}
		return answer.(*pulled).board(q), nil
	}
}

// board is the handle of a board, made on demand, with one asker more.
func (e *Engine) board(key boardKey) (*boardHandle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.boards[key]; h != nil {
		h.askers.Add(1)
		h.asked.Store(int64(e.sinceStart()))
		return h, nil
	}
	if e.boards == nil {
		return nil, fmt.Errorf("board: %w", messages.ErrStopped)
	}
	e.makeRoomLocked()
	h := &boardHandle{key: key, retired: e.retire}
	h.askers.Add(1)
	h.asked.Store(int64(e.sinceStart()))
	h.size.Store(boardBytes)
	a, err := e.system.spawn(fmt.Sprintf("%s#%d", key.identity(), e.spawned.Add(1)), &boardActor{handle: h, merger: e.merger, now: e.sinceStart, spread: e.spreadOver()})
	if err != nil {
		return nil, err
	}
	h.actor = a
	e.boards[key] = h
	return h, nil
}

// makeRoomLocked ends boards that nobody has asked for lately until the others
// and a new one have room in their share of memory. Of a handful, taken as the
// map gives them, the one longest not asked for goes: close enough to the order
// of all. A board that is asked for again is simply pulled again. Boards that
// somebody waits for stay; there are no more of those than questions under way.
func (e *Engine) makeRoomLocked() {
	for e.boardMemoryLocked()+boardBytes > e.cfg.BoardMemory {
		var idlest *boardHandle
		seen := 0
		for _, h := range e.boards {
			if h.askers.Load() > 0 {
				continue
			}
			if idlest == nil || h.asked.Load() < idlest.asked.Load() {
				idlest = h
			}
			if seen++; seen == 16 {
				break
			}
		}
		if idlest == nil {
			return
		}
		delete(e.boards, idlest.key)
		e.system.end(idlest.actor)
	}
}

// retire forgets a board's handle; the next query makes a new one.
func (e *Engine) retire(h *boardHandle) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.boards[h.key] == h {
		delete(e.boards, h.key)
		e.system.forget(h.actor)
	}
}

// Counts tells how often topics occurred.
func (e *Engine) Counts(ctx context.Context, q *messages.CountQuery) (*messages.Counts, error) {
	return gatherAs[messages.Counts](ctx, e, newCountQuestion(q, e.homes()), q.After)
}

// Rank is a topic's rank and what surrounds it.
func (e *Engine) Rank(ctx context.Context, q *messages.RankQuery) (*messages.Rank, error) {
	if e.spread() {
		return gatherAs[messages.Rank](ctx, e, &spreadRank{RankQuery: q, shards: e.routes.Partitions()}, q.After)
	}
	return gatherAs[messages.Rank](ctx, e, &rankQuestion{RankQuery: q, home: e.routes.Of([]byte(q.Topic))}, q.After)
}

// Series is how topics developed. messages.NotKeptError if the granularity is
// finer than what is kept for the window's length.
func (e *Engine) Series(ctx context.Context, q *messages.SeriesQuery) (*messages.Series, error) {
	if finest := window.FinestGrid(messages.Micros(q.Window)); q.Granularity%finest != 0 {
		return nil, &messages.NotKeptError{Finest: finest}
	}
	return gatherAs[messages.Series](ctx, e, newSeriesQuestion(q, e.homes()), q.After)
}

// Topics are tracked topics by prefix.
func (e *Engine) Topics(ctx context.Context, q *messages.TopicsQuery) (*messages.Topics, error) {
	if e.spread() {
		return gatherAs[messages.Topics](ctx, e, newSpreadPrefix(q, e.routes.Partitions()), q.After)
	}
	return gatherAs[messages.Topics](ctx, e, &prefixQuestion{q}, q.After)
}

// Cells are the categories and regions with their totals.
func (e *Engine) Cells(ctx context.Context, q *messages.CellsQuery) (*messages.Cells, error) {
	return gatherAs[messages.Cells](ctx, e, &cellsQuestion{q}, q.After)
}

// gatherAs puts a question to the merger.
func gatherAs[T any](ctx context.Context, e *Engine, q question, after messages.Position) (*T, error) {
	without, err := e.await(ctx, after, needsOf(q))
	if err != nil {
		return nil, err
	}
	answer, err := e.ask(ctx, e.merger, asked{q, time.Now().Add(timeout(ctx)), without})
	if err != nil {
		return nil, unanswered(err)
	}
	return answer.(*T), nil
}

// ask puts a question to an actor. Only maxQuestions are under way at once: one
// more is refused, so that asking more than can be answered makes no queue.
func (e *Engine) ask(ctx context.Context, to address, body any) (any, error) {
	if e.questions.Add(1) > maxQuestions {
		e.questions.Add(-1)
		return nil, &messages.RefusedError{Reason: "too many questions are under way; ask again later", RetryAfter: time.Second}
	}
	defer e.questions.Add(-1)
	return e.system.ask(to, body, timeout(ctx))
}

// maxQuestions bounds the questions that wait for an answer at once.
const maxQuestions = 1024

// await is Await for queries: nothing is answered before the log is replayed, nor
// if a partition has failed that the answer needs or after names: that is told at
// once. It returns the partitions that have failed, if any, which the answer does
// without.
func (e *Engine) await(ctx context.Context, after messages.Position, needs func(messages.Partition) bool) (without []bool, err error) {
	if err := e.replaying(); err != nil {
		return nil, err
	}
	if without, err = e.progress.without(needs); err != nil || len(after) == 0 {
		return without, err
	}
	// Everything up to a position is what was durable before it, in whatever
	// partition: what is durable now, and what the position names.
	pos := make(messages.Position, e.cfg.Identity.Partitions)
	e.cfg.Log.Ends(pos)
	pos.Raise(after)
	if e.progress.covers(pos) {
		return without, nil
	}
	for _, h := range e.hurries {
		h.now()
	}
	needed := func(p messages.Partition, applied messages.Offset) bool {
		return needs(p) || int(p) < len(after) && after[p] > applied
	}
	if err := behind(ctx, e.progress.await(ctx, pos, needed)); err != nil {
		return nil, err
	}
	return e.progress.without(needs)
}

// behind is the error of who has waited in vain until ctx ended.
func behind(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", messages.ErrBehind, err)
	}
	return err
}

func timeout(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return askTimeout
	}
	return max(time.Millisecond, time.Until(deadline))
}

// unanswered is the error of a question that a shard did not get to in time.
func unanswered(err error) error {
	if errors.Is(err, errNoAnswer) || errors.Is(err, errGone) {
		return fmt.Errorf("%w: %w", messages.ErrBusy, err)
	}
	return err
}
