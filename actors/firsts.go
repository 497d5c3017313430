package actors

import (
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// firsts finds the first k topics of those that may have counts in several
// shards (rank.Sum says how). It is a part of questions: while take has nothing
// to give, the question goes into another round. The shards stand still
// meanwhile, so all rounds are about one state.
type firsts struct {
	list  lists
	k     int
	depth int // rows that each shard lists
	most  int // … and may be asked for, if fewer leave something open
	sum   *rank.Sum
	names [][]string // to be asked for, by partition; nil: lists are
}

// lists is what the shards' lists are made by. One of both is set.
type lists struct {
	top    *window.TopAsk
	prefix *window.PrefixAsk
}

func newFirsts(list lists, k, shards int) *firsts {
	most := max(k, min(maxPull, mostListed/shards))
	return &firsts{list: list, k: k, depth: min(leastDepth(k), most), most: most}
}

// mostListed is about how many rows all shards together list at most in a
// round, but always as many as are asked for.
const mostListed = 1 << 17

// leastDepth is how many rows each shard lists for a board of k: topics at the
// end of the board stand where chance has them in each.
func leastDepth(k int) int { return 2*k + 16 }

// mostNamed is how many topics each shard is asked for by name at most.
func mostNamed(k int) int { return min(max(4*k, 512), k+4096) }

func (f *firsts) ask(p messages.Partition, e messages.Micros) any {
	switch t := f.list.top; {
	case f.names == nil && t != nil:
		return &window.TopAsk{Window: t.Window, E: e, Cell: t.Cell, K: f.depth}
	case f.names == nil:
		return &window.PrefixAsk{Prefix: f.list.prefix.Prefix, Window: f.list.prefix.Window, E: e, Limit: f.depth}
	case len(f.names[p]) == 0:
		return nil
	case t != nil:
		return &window.CountAsk{Topics: f.names[p], Window: t.Window, E: e, Cell: t.Cell}
	}
	return &window.CountAsk{Topics: f.names[p], Window: f.list.prefix.Window, E: e}
}

// take gets a round's parts; false: another is needed. Then part and sum are
// set for good.
func (f *firsts) take(g *gathered) bool {
	if f.names == nil {
		f.sum = rank.NewSum(f.parts(g), f.k, f.list.prefix != nil)
		if f.names = f.sum.Wanted(mostNamed(f.k)); f.names != nil {
			return false
		}
	} else {
		for p, part := range g.parts {
			if part != nil {
				f.sum.Add(p, part.(*window.CountPart).Counts)
			}
		}
		f.names = nil
	}
	next := f.sum.Deeper(f.depth, f.most)
	if next == 0 {
		return true
	}
	f.depth = next
	return false
}

func (f *firsts) parts(g *gathered) []*rank.Part {
	if f.list.top != nil {
		return partsOf[*rank.Part](*g)
	}
	parts := make([]*rank.Part, len(g.parts))
	for i, rows := range partsOf[[]rank.Row](*g) {
		// Of a topic that it does not list the shard may have counts in no row.
		parts[i] = &rank.Part{Rows: rows}
		if len(rows) == f.depth {
			parts[i].Rest = rows[len(rows)-1].Count.Lower
		}
	}
	return parts
}
