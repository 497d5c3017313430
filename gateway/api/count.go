package api

import (
	"math"

	"github.com/crestdb/crest/messages"
)

// Count answers GET /api/v1/topics/{topic}/count.
type Count struct {
	Topic  string `json:"topic"`
	Window string `json:"window"`
	Scope
	Bounds
	Exact bool `json:"exact"`
	Error
	WholeCell
	Interval
}

// WholeCell is the count of all topics of the cell.
type WholeCell struct {
	WindowTotal      uint64  `json:"window_total"`
	WindowTotalLower uint64  `json:"window_total_lower_bound"`
	WindowTotalUpper *uint64 `json:"window_total_upper_bound"` // null: there is none, since a partition has failed; the total is of the others then
}

// NewWholeCell converts a cell's count.
func NewWholeCell(c messages.Count) WholeCell {
	w := WholeCell{WindowTotal: c.Estimate, WindowTotalLower: c.Lower}
	if c.Upper != math.MaxUint64 {
		w.WindowTotalUpper = &c.Upper
	}
	return w
}

// CountsRequest is the body of POST /api/v1/counts.
type CountsRequest struct {
	Topics   []string `json:"topics"`
	Window   string   `json:"window,omitempty"`
	Region   string   `json:"region,omitempty"`
	Category string   `json:"category,omitempty"`
	After    string   `json:"after,omitempty"`
}

// Counts answers POST /api/v1/counts, in the order of the question.
type Counts struct {
	Window string `json:"window"`
	Scope
	Error
	WholeCell
	Interval
	Counts []TopicCount `json:"counts"`
}

// TopicCount is one topic of Counts.
type TopicCount struct {
	Topic string `json:"topic"`
	Bounds
	Exact bool `json:"exact"`
}

// NewCount converts the answer for one topic.
func NewCount(q *messages.CountQuery, a *messages.Counts) *Count {
	c := a.Counts[0]
	return &Count{
		Topic:     q.Topics[0],
		Window:    q.Window.String(),
		Scope:     NewScope(q.Cell),
		Bounds:    NewBounds(c),
		Exact:     c.Exact(),
		Error:     NewError(c.Exact(), a.SketchError),
		WholeCell: NewWholeCell(a.Total),
		Interval:  NewInterval(a.Moment),
	}
}

// NewCounts converts the answer for many topics.
func NewCounts(q *messages.CountQuery, a *messages.Counts) *Counts {
	exact := true
	rows := make([]TopicCount, len(a.Counts))
	for i, c := range a.Counts {
		rows[i] = TopicCount{Topic: q.Topics[i], Bounds: NewBounds(c), Exact: c.Exact()}
		exact = exact && c.Exact()
	}
	return &Counts{
		Window:    q.Window.String(),
		Scope:     NewScope(q.Cell),
		Error:     NewError(exact, a.SketchError),
		WholeCell: NewWholeCell(a.Total),
		Interval:  NewInterval(a.Moment),
		Counts:    rows,
	}
}
