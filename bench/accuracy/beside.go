package main

import (
	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/messages"
)

// besideNote stands under every table of peers.
const besideNote = `Peers know neither windows nor cells: for each board a fresh one is fed exactly the events in it, nothing else, and
has 1/%d of the memory that crest has for all windows and cells together: the boards of one moment have several times
as much. Slides, late events and all other cells cost them nothing here. "false" of a count-min are rows outside of its ε·N, which it allows itself with δ.
`

// feed is an event as peers take it.
type feed struct {
	topic string
	n     uint64
}

// gather are the events that a board is about.
func gather(events *truth.Events, g *ground, cell messages.Cell) []feed {
	fed := []feed{}
	events.Each(g.start, g.end, cell, func(topic string, n uint64) { fed = append(fed, feed{topic, n}) })
	return fed
}

// beside lets a peer count what a board is about, 1 event or more, and judges its
// answer.
func beside(kind *counters.Kind, bytes int64, k int, fed []feed, t *truth.Tally) *finding {
	p := kind.New(bytes, k)
	for _, e := range fed {
		p.Add(e.topic, e.n)
	}
	b := p.Board(k)

	ranked := t.Ranked()
	top := ranked[:min(k, len(ranked))]
	f := &finding{certified: b.Certified, rows: len(top)}
	found, exact := 0, len(b.Rows) == len(top) && b.Certified == len(top)
	for i, r := range b.Rows {
		n := t.Count(r.Topic)
		if n >= top[len(top)-1].Count {
			found++
		}
		f.maxError = max(f.maxError, max(r.Estimate, n)-min(r.Estimate, n))
		if !r.Bounded {
			continue
		}
		f.intervals = append(f.intervals, interval{r.Lower, r.Upper})
		exact = exact && r.Upper == r.Lower
		if n < r.Lower || n > r.Upper || i < b.Certified && n < ranked[b.Certified-1].Count {
			f.lies++
		}
	}
	f.recall = float64(found) / float64(len(top))
	f.strict, f.exact = f.recall, exact
	return f
}
