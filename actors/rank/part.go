package rank

import (
	"cmp"
	"strings"

	"github.com/crestdb/crest/messages"
)

// Row is one topic of a candidate list.
type Row struct {
	Topic    string
	Count    messages.Count
	Category string // leading category in the window, where asked for
}

// Compare is the total order of every board: the greater lower bound first,
// then the topic in byte order.
func Compare(a, b *Row) int {
	if c := cmp.Compare(b.Count.Lower, a.Count.Lower); c != 0 {
		return c
	}
	return strings.Compare(a.Topic, b.Topic)
}

// Part is what one source (a shard, a node) knows of a cell in a window. The
// sources' topics are disjoint.
type Part struct {
	// Rows are the source's first rows by Compare.
	Rows []Row
	// Rest bounds the count of every topic of this source that is not in Rows;
	// 0: there is none with a count.
	Rest uint64
	// Ordered: every topic not in Rows is exact and comes behind the last of
	// Rows by Compare, so a tie at the cut is decided.
	Ordered bool
	// Total is the sum over all topics of the source in the cell.
	Total messages.Count
}
