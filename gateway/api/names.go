package api

import "github.com/crestdb/crest/messages"

// Cells answers GET /api/v1/cells: what can be asked for, with totals.
type Cells struct {
	Window string `json:"window"`
	Interval
	Total
	Exact bool `json:"exact"` // every total is known
	Error
	Categories []CellTotal `json:"categories"` // greatest first
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
	exact := c.Total.Exact() && totalsExact(c.Categories) && totalsExact(c.Regions)
	return &Cells{
		Window:           q.Window.String(),
		Interval:         NewInterval(c.Moment),
		Total:            NewTotal(c.Total),
		Exact:            exact,
		Error:            newTotalsError(exact, c.SketchError),
		Categories:       newCellTotals(c.Categories),
		Regions:          newCellTotals(c.Regions),
		CategoriesFolded: c.CategoriesFolded,
		RegionsFolded:    c.RegionsFolded,
	}
}

// newTotalsError is NewError for totals. They are kept apart from what sketches
// hold: what is not certain of them is what "other" may have of them.
func newTotalsError(exact bool, e messages.SketchError) Error {
	out := NewError(exact, messages.SketchError{})
	out.Epsilon, out.Delta = e.Epsilon, e.Delta
	return out
}

func totalsExact(cells []messages.CellTotal) bool {
	for i := range cells {
		if !cells[i].Total.Exact() {
			return false
		}
	}
	return true
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
	Error
	Interval
	Topics []TopicCount `json:"topics"`
}

// NewTopics converts the topics found.
func NewTopics(q *messages.TopicsQuery, a *messages.Topics) *Topics {
	exact := true
	rows := make([]TopicCount, len(a.Rows))
	for i, r := range a.Rows {
		rows[i] = TopicCount{Topic: r.Topic, Bounds: NewBounds(r.Count), Exact: r.Count.Exact()}
		exact = exact && r.Count.Exact()
	}
	return &Topics{
		Prefix:   q.Prefix,
		Window:   q.Window.String(),
		Limit:    q.Limit,
		Error:    NewError(exact, a.SketchError),
		Interval: NewInterval(a.Moment),
		Topics:   rows,
	}
}
