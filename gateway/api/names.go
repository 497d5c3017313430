package api

import "github.com/crestdb/crest/messages"

// Cells answers GET /api/v1/cells: what can be asked for, with totals.
type Cells struct {
	Window string `json:"window"`
	Interval
	Total
	Categories []CellTotal `json:"categories"` // in byte order
	Regions    []CellTotal `json:"regions"`
	// Folded: values past the log's bound count in "other".
	CategoriesFolded bool `json:"categories_folded"`
	RegionsFolded    bool `json:"regions_folded"`
}

// CellTotal is the total of one category or region.
type CellTotal struct {
	Name string `json:"name"`
	Bounds
}

// NewCells converts the cells.
func NewCells(q *messages.CellsQuery, c *messages.Cells) *Cells {
	return &Cells{
		Window:           q.Window.String(),
		Interval:         NewInterval(c.Moment),
		Total:            NewTotal(c.Total),
		Categories:       newCellTotals(c.Categories),
		Regions:          newCellTotals(c.Regions),
		CategoriesFolded: c.CategoriesFolded,
		RegionsFolded:    c.RegionsFolded,
	}
}

func newCellTotals(cells []messages.CellTotal) []CellTotal {
	out := make([]CellTotal, len(cells))
	for i, c := range cells {
		out[i] = CellTotal{Name: c.Name, Bounds: NewBounds(c.Total)}
	}
	return out
}

// Topics answers GET /api/v1/topics: topics that begin with a prefix, greatest
// first.
type Topics struct {
	Prefix string `json:"prefix"`
	Window string `json:"window"`
	Limit  int    `json:"limit"`
	Interval
	Topics []TopicCount `json:"topics"`
}

// NewTopics converts the topics found.
func NewTopics(q *messages.TopicsQuery, a *messages.Topics) *Topics {
	t := &Topics{
		Prefix:   q.Prefix,
		Window:   q.Window.String(),
		Limit:    q.Limit,
		Interval: NewInterval(a.Moment),
		Topics:   make([]TopicCount, len(a.Rows)),
	}
	for i, r := range a.Rows {
		t.Topics[i] = TopicCount{Topic: r.Topic, Bounds: NewBounds(r.Count), Exact: r.Count.Exact()}
	}
	return t
}
