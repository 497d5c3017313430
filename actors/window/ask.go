package window

import (
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// What a shard is asked. E is the engine time of the whole answer, the same
// for every shard: a shard that is behind has been slid to it before; one
// whose open slice is already later answers for E from its slices, as long as E
// is not more than Margin before its clock.

// TopAsk asks for the first K rows of a cell.
type TopAsk struct {
	Window     messages.Window
	E          messages.Micros
	Cell       messages.Cell
	K          int
	Categories bool // fill Row.Category
}

// CountAsk asks for the counts of topics that belong to this shard.
type CountAsk struct {
	Topics []string
	Window messages.Window
	E      messages.Micros
	Cell   messages.Cell
}

// CountPart answers a CountAsk; Total is the shard's share of the cell.
type CountPart struct {
	Counts []messages.Count
	Total  messages.Count
}

// CategoriesAsk asks under which categories topics were counted, wherever they
// occurred.
type CategoriesAsk struct {
	Topics []string
	Window messages.Window
	E      messages.Micros
}

// TopicCategories answers for one topic.
type TopicCategories struct {
	Counts []CategoryCount // each category once, in no particular order
	// Unsure may be of any category: it is in no row, or under "other", which has
	// taken the place of names past the bound.
	Unsure uint64
}

// CategoryCount is what was counted of a topic under a category; "" for none.
type CategoryCount struct {
	Category string
	Count    uint64
}

// SeriesAsk asks for the counts of topics in consecutive intervals, oldest
// first: interval i is [Start + i×Step, Start + (i+1)×Step). Topic "" is the
// cell's total. What was counted at End or later is left out, so that shards
// whose clocks differ answer for one moment; 0: nothing is.
type SeriesAsk struct {
	Topics      []string
	Start, Step messages.Micros
	N           int
	End         messages.Micros // on the 5 s grid
	Cell        messages.Cell
}

// AroundAsk asks what surrounds a topic with a known count: how many rows come
// before it, and the nearest ones on both sides.
type AroundAsk struct {
	Topic  string
	Count  messages.Count
	Window messages.Window
	E      messages.Micros
	Cell   messages.Cell
	Around int
}

// AroundPart answers an AroundAsk; the topic itself is in none of it.
type AroundPart struct {
	Sure     int        // rows that certainly come before the topic
	Possible int        // rows that may come before it, Sure included
	Above    []rank.Row // the nearest before it, by Compare
	Below    []rank.Row // the nearest behind it, by Compare
	Total    messages.Count
}

// PrefixAsk asks for the greatest topics that begin with Prefix.
type PrefixAsk struct {
	Prefix string
	Window messages.Window
	E      messages.Micros
	Limit  int
}

// CellsAsk asks for the totals of every category and region.
type CellsAsk struct {
	Window messages.Window
	E      messages.Micros
}

// CellsPart answers a CellsAsk; names in no particular order.
type CellsPart struct {
	Total               messages.Count
	Categories, Regions []messages.CellTotal
	CategoriesFolded    bool
	RegionsFolded       bool
}
