package main

import (
	"github.com/crestdb/crest/bench/peers"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/messages"
)

// besideNote stands under every table of peers.
const besideNote = `Peers know neither windows nor cells: for each board a fresh one is fed exactly the events in it, nothing else, and
has 1/%d of the memory that crest has for all windows and cells together. Slides, late events and the hundreds of
other cells cost them nothing here; and since they leave ties open, any row that has as much as the last of the true
top is right. "false" of a count-min are rows outside of its ε·N, which it allows itself with δ.
`

// beside lets a peer count what a board is about and judges its answer.
func beside(kind *peers.Kind, bytes int64, k int, events *truth.Events, start, end messages.Micros, cell messages.Cell, t *truth.Tally) *finding {
	p := kind.New(bytes, k)
	events.Each(start, end, cell, p.Add)
	b := p.Board(k)

	ranked := t.Ranked()
	top := ranked[:min(k, len(ranked))]
	f := &finding{recall: 1, certified: b.Certified, rows: len(top)}
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
		f.widths = append(f.widths, r.Upper-r.Lower)
		exact = exact && r.Upper == r.Lower
		if n < r.Lower || n > r.Upper || i < b.Certified && n < ranked[b.Certified-1].Count {
			f.lies++
		}
	}
	if len(top) > 0 {
		f.recall = float64(found) / float64(len(top))
	}
	f.exact = exact
	return f
}
