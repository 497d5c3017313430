package actors

import (
	"fmt"
	"time"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// Core is the state of one partition: what the shard actor is the loop of.
// window.Table is the engine's; actorstest.Brute, the obvious one, is its
// judge in tests.
type Core interface {
	Apply(d *window.Delta)
	Slide(e messages.Micros)
	Clock() messages.Micros
	First() (messages.Micros, bool)
	Top(q *window.TopAsk) *rank.Part
	Count(q *window.CountAsk) *window.CountPart
	Categories(q *window.CategoriesAsk) []window.TopicCategories
	Series(q *window.SeriesAsk) ([][]messages.Count, error)
	Around(q *window.AroundAsk) *window.AroundPart
	Prefix(q *window.PrefixAsk) []rank.Row
	Cells(q *window.CellsAsk) *window.CellsPart
}

// Sizer is a Core that accounts for its memory.
type Sizer interface {
	Stats() window.Stats
}

// Sketcher is a Core that may know counts within bounds only.
type Sketcher interface {
	// SketchError is the error of the sketches in use for a window; zero: none is.
	SketchError(w messages.Window) messages.SketchError
}

// shardActor owns the state of one partition. It takes deltas from its ingest
// actor and answers the mergers' asks between them.
type shardActor struct {
	partition messages.Partition
	core      Core
	progress  *progress
	applied   messages.Offset

	// holds are the gathers that asked this shard to stand still, so that all
	// shards answer for one moment; waiting are the deltas that came meanwhile,
	// at most deltasPerShard.
	holds   map[uint64]bool
	waiting []mailedDelta
}

type mailedDelta struct {
	delta *window.Delta
	from  address
}

// shardAsk asks for a part of an answer at engine time e. The body is one of
// window's asks.
type shardAsk struct {
	gather   uint64
	e        messages.Micros
	deadline time.Time // past it nobody waits for the answer
	body     any
}

// shardPart answers a shardAsk.
type shardPart struct {
	gather    uint64
	partition messages.Partition
	applied   messages.Offset
	first     messages.Micros // start of the earliest slice with a count, if started
	started   bool
	sketches  messages.SketchError
	part      any
	err       error
}

// hold asks a shard to apply nothing until the release; it answers with its
// clock.
type hold struct{ gather uint64 }

// held answers a hold.
type held struct {
	gather uint64
	clock  messages.Micros
}

// release ends a hold.
type release struct{ gather uint64 }

func (a *shardActor) receive(m mail) {
	switch b := m.body.(type) {
	case *window.Delta:
		if len(a.holds) > 0 {
			a.waiting = append(a.waiting, mailedDelta{b, m.from()})
			return
		}
		a.apply(m, b, m.from())
	case *shardAsk:
		part, err := a.ask(b)
		first, any := a.core.First()
		m.answer(&shardPart{b.gather, a.partition, a.applied, first, any, a.sketchError(askedWindow(b.body)), part, err})
	case hold:
		if a.holds == nil {
			a.holds = make(map[uint64]bool)
		}
		a.holds[b.gather] = true
		m.answer(held{b.gather, a.core.Clock()})
	case releaseCut:
		b.cut.table.Release()
	case release:
		delete(a.holds, b.gather)
		if len(a.holds) == 0 {
			for _, w := range a.waiting {
				a.apply(m, w.delta, w.from)
			}
			a.waiting = a.waiting[:0]
		}
	}
}

func (a *shardActor) sketchError(w messages.Window) messages.SketchError {
	if s, ok := a.core.(Sketcher); ok {
		return s.SketchError(w)
	}
	return messages.SketchError{}
}

// askedWindow is the window that one of window's asks is about. The points of a
// series are like any window but "all".
func askedWindow(ask any) messages.Window {
	switch q := ask.(type) {
	case *window.TopAsk:
		return q.Window
	case *window.CountAsk:
		return q.Window
	case *window.CategoriesAsk:
		return q.Window
	case *window.AroundAsk:
		return q.Window
	case *window.PrefixAsk:
		return q.Window
	case *window.CellsAsk:
		return q.Window
	}
	return messages.Window5m
}

func (a *shardActor) failed(cause error) { a.progress.fail(a.partition, cause) }

// apply counts a delta, makes it known, and hands it back as the ingest
// actor's credit.
func (a *shardActor) apply(m mail, d *window.Delta, from address) {
	a.core.Apply(d)
	a.publish(d)
	if c, ok := d.Marker.(*cut); ok {
		a.freezeTable(c, d)
	}
	m.send(from, d)
}

// publish makes known how far the shard is.
func (a *shardActor) publish(d *window.Delta) {
	a.applied = d.Ledger.AppliedOffset
	s := &messages.PartitionStatus{
		Ledger:           d.Ledger,
		Clock:            d.Clock,
		Arrival:          d.Arrival,
		Settings:         d.Settings,
		CategoriesFolded: d.Categories.Folded,
		RegionsFolded:    d.Regions.Folded,
	}
	if sizer, ok := a.core.(Sizer); ok {
		stats := sizer.Stats()
		s.Topics, s.Rows, s.Slices, s.Memory = stats.Topics, stats.Rows, stats.Slices, stats.Memory
	}
	s.SketchError = a.sketchError(messages.Window5m)
	s.SketchError.Raise(a.sketchError(messages.WindowAll))
	s.Memory.Dedup = d.Dedup
	s.Memory.Combine += d.Combine
	a.progress.publish(a.partition, s, d.DedupNext)
}

func (a *shardActor) ask(q *shardAsk) (any, error) {
	if time.Now().After(q.deadline) {
		return nil, errNoAnswer
	}
	if q.e != 0 && q.e < a.core.Clock()-window.Margin {
		return nil, fmt.Errorf("shard %d has moved on past the moment asked for: %w", a.partition, messages.ErrBusy)
	}
	a.core.Slide(q.e)
	switch b := q.body.(type) {
	case *window.TopAsk:
		return a.core.Top(b), nil
	case *window.CountAsk:
		return a.core.Count(b), nil
	case *window.CategoriesAsk:
		return a.core.Categories(b), nil
	case *window.SeriesAsk:
		return a.core.Series(b)
	case *window.AroundAsk:
		return a.core.Around(b), nil
	case *window.PrefixAsk:
		return a.core.Prefix(b), nil
	case *window.CellsAsk:
		return a.core.Cells(b), nil
	}
	panic("shard: unknown ask")
}
