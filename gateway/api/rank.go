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
	Neighbours []Neighbour `json:"neighbours"` // in order, the topic among them if it has a rank
}

// Neighbour is a topic beside another one in the ranking.
type Neighbour struct {
	Rank  int    `json:"rank"`
	Topic string `json:"topic"`
	Bounds
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
		Neighbours:  make([]Neighbour, 0, len(a.Neighbours)),
	}
	for i, n := range a.Neighbours {
		if n.Count.Upper > 0 { // what does not occur has no rank
			r.Neighbours = append(r.Neighbours, Neighbour{Rank: a.First + i, Topic: n.Topic, Bounds: NewBounds(n.Count)})
		}
	}
	if a.Count.Upper > 0 && a.Lower > 0 {
		lower, upper := a.Lower, a.Upper
		r.Rank, r.RankLower, r.RankUpper = &lower, &lower, &upper
	}
	return r
}
