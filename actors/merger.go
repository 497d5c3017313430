package actors

import (
	"fmt"
	"time"

	"github.com/crestdb/crest/messages"
)

// merger unions the partitions that this node serves into one answer, so that
// a board asks nodes, not shards.
//
// With the wall clock an answer's engine time is the node clock: shards that
// are behind slide to it, those that are a moment ahead answer from their
// slices. With the event clock it is the largest partition clock of all, which
// a fast replay moves by hours a delta; so the shards are first asked to hold,
// which fixes it, and released when they have answered. They hold too for a
// question of several rounds, so that all rounds are about one state. Gathers
// that hold run one after the other, and each release lets the shards apply what
// came meanwhile: ingest is slowed down by asking, never stopped.
//
// Where topics are spread over the shards, whatever ranks them is a question of
// several rounds (spread.go).
type merger struct {
	shards   []address
	clock    messages.Clock
	now      func() messages.Micros
	progress *progress
	spread   bool // a topic may have counts in several shards

	last  uint64
	open  map[uint64]*gather
	queue []*gather // those that hold, in the order they came; the first is under way
}

// asked is a question to the merger. Past its deadline nobody waits for the
// answer any more, and what has not begun is dropped.
type asked struct {
	question question
	deadline time.Time
	// without are partitions that have failed and that the question does not need:
	// they are not asked. nil: all are.
	without []bool
}

// gather is one question on its way to an answer.
type gather struct {
	id       uint64
	deadline time.Time
	question question
	without  []bool // as in asked
	to       address
	round    int
	e        messages.Micros
	counted  bool // e is a moment that shards may slide to
	first    messages.Micros
	parts    []any
	applied  messages.Position
	sketches []messages.SketchError // in use, by partition
	missing  int                    // answers still to come
	holding  bool
	err      error
}

func (g *merger) receive(m mail) {
	switch b := m.body.(type) {
	case started:
		g.open = make(map[uint64]*gather)
	case asked:
		if time.Now().After(b.deadline) {
			return
		}
		g.last++
		n := &gather{id: g.last, deadline: b.deadline, question: b.question, without: b.without, to: m.from()}
		g.open[n.id] = n
		if g.clock == messages.ClockEvent || ofSeveralRounds(b.question) {
			if g.queue = append(g.queue, n); len(g.queue) == 1 {
				g.hold(m, n)
			}
			return
		}
		g.ask(m, n)
	case held:
		if n := g.open[b.gather]; n != nil {
			n.e = max(n.e, b.clock)
			g.arrived(m, n)
		}
	case *shardPart:
		if n := g.open[b.gather]; n != nil {
			g.take(m, n, b)
		}
	case failure:
		g.refused(m, b)
	}
}

// failed: no question can be answered any more, and with the event clock
// shards may be held for ever.
func (g *merger) failed(cause error) { g.progress.failAll(cause) }

func (g *merger) hold(m mail, n *gather) {
	n.holding, n.missing = true, 1 // this function, until all are asked
	if n.without != nil {
		n.e = g.progress.clock() // which one that has failed may have brought so far
	}
	for p, s := range g.shards {
		if !n.skips(p) {
			n.missing++
			m.request(s, hold{n.id})
		}
	}
	g.arrived(m, n)
}

// skips tells whether a partition is left out.
func (n *gather) skips(p int) bool { return n.without != nil && n.without[p] }

// ask sends a round's asks.
func (g *merger) ask(m mail, n *gather) {
	if n.round == 0 && g.clock != messages.ClockEvent {
		n.e, n.counted = g.now(), true
	}
	n.parts = make([]any, len(g.shards))
	n.applied = make(messages.Position, len(g.shards))
	n.first = n.e.Floor(messages.SliceLength)
	if n.sketches == nil {
		n.sketches = make([]messages.SketchError, len(g.shards))
	}
	n.missing = 1 // this function, until all asks are out
	slide := n.e
	if !n.counted {
		slide = 0 // nothing was counted: the shards' clocks are still to be set by the first event
	}
	for p, s := range g.shards {
		if n.skips(p) {
			continue
		}
		if body := n.question.ask(n.round, messages.Partition(p), n.e); body != nil {
			n.missing++
			m.request(s, &shardAsk{n.id, slide, n.deadline, body})
		}
	}
	g.arrived(m, n)
}

func (g *merger) take(m mail, n *gather, part *shardPart) {
	if part.err != nil {
		n.err = part.err
	}
	n.parts[part.partition] = part.part
	n.applied[part.partition] = part.applied
	n.sketches[part.partition].Raise(part.sketches)
	if part.started {
		n.first = min(n.first, part.first)
	}
	g.arrived(m, n)
}

// refused takes the answer of a shard that has failed.
func (g *merger) refused(m mail, f failure) {
	var id uint64
	switch r := f.request.(type) {
	case hold:
		id = r.gather
	case *shardAsk:
		id = r.gather
	default:
		return
	}
	if n := g.open[id]; n != nil {
		n.err = f.err
		g.arrived(m, n)
	}
}

// arrived notes one answer; with the last one of a stage the next begins.
func (g *merger) arrived(m mail, n *gather) {
	if n.missing--; n.missing > 0 {
		return
	}
	switch {
	case n.err != nil:
		g.finish(m, n, n.err)
	case n.parts == nil: // all hold
		if n.counted = n.e != 0; !n.counted {
			n.e = g.now()
		}
		g.ask(m, n) // which takes the node clock if that rules
	default:
		answer := n.question.take(n.round, gathered{n.e, n.first, n.parts, n.applied, g.sketchError(n)})
		if answer == nil {
			n.round++
			g.ask(m, n)
			return
		}
		g.finish(m, n, answer)
	}
}

// sketchError is the greatest error in use. A count that is the sum of several
// shards' counts is as wrong as theirs are together: by the same share of what
// all hide, unless one of them is wrong by more.
func (g *merger) sketchError(n *gather) (e messages.SketchError) {
	var sum float64
	for i := range n.sketches {
		e.Raise(n.sketches[i])
		sum += n.sketches[i].Delta
	}
	if g.spread {
		e.Delta = min(1, sum)
	}
	return e
}

func (g *merger) finish(m mail, n *gather, answer any) {
	delete(g.open, n.id)
	if err, ok := answer.(error); ok {
		answer = failure{err: fmt.Errorf("gather: %w", err)}
	}
	m.send(n.to, answer)
	if !n.holding {
		return
	}
	for _, s := range g.shards {
		m.send(s, release{n.id})
	}
	g.queue = g.queue[1:]
	for len(g.queue) > 0 && time.Now().After(g.queue[0].deadline) {
		delete(g.open, g.queue[0].id)
		g.queue = g.queue[1:]
	}
	if len(g.queue) > 0 {
		g.hold(m, g.queue[0])
	}
}
