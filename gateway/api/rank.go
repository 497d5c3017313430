package api

import "github.com/crestdb/crest/messages"

// Rank answers GET /api/v1/topics/{topic}/rank.
type Rank struct {
	Topic  string `json:"topic"`
	Window string `json:"window"`
	Scope
	// Rank is the topic's place, 1 for the first; null for a topic that does
	// not occur in the window. RankLower ≤ true rank ≤ RankUpper.
	Rank      *int `json:"rank"`
	RankLower *int `json:"rank_lower"`
	RankUpper *int `json:"rank_upper"`
	Bounds
	Exact bool `json:"exact"` // rank and count are certain
	Error
	WindowTotal uint64 `json:"window_total"`
	Interval
	Neighbours []BoardRow `json:"neighbours"` // the topic among them, in order
}

// NewRank converts a rank.
func NewRank(q *messages.RankQuery, a *messages.Rank) *Rank {
	exact := a.Lower == a.Upper && a.Count.Exact()
	r := &Rank{
		Topic:       q.Topic,
		Window:      q.Window.String(),
		Scope:       NewScope(q.Cell),
		Bounds:      NewBounds(a.Count),
		Exact:       exact,
		Error:       NewError(exact, a.SketchError),
		WindowTotal: a.Total.Estimate,
		Interval:    NewInterval(a.Moment),
		Neighbours:  newRows(a.Neighbours, a.First),
	}
	if a.Count.Upper > 0 && a.Lower > 0 {
		lower, upper := a.Lower, a.Upper
		r.Rank, r.RankLower, r.RankUpper = &lower, &lower, &upper
	}
	return r
}
