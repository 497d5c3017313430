package api

import "github.com/crestdb/crest/messages"

// Rank answers GET /api/v1/topics/{topic}/rank.
type Rank struct {
	Topic  string `json:"topic"`
	Window string `json:"window"`
	Scope
	// Rank is the topic's place on a board, where rows are ranked by their lower
	// bounds, 1 for the first; null for a topic that does not occur in the
	// window. RankLower ≤ Rank ≤ RankUpper, and so is the true rank.
	Rank      *int `json:"rank"`
	RankLower *int `json:"rank_lower"`
	RankUpper *int `json:"rank_upper"`
	Bounds
	Exact bool `json:"exact"` // rank and count are certain; that it does not occur, too
	Error
	WholeCell
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
	exact := a.Count.Upper == 0 || a.Lower == a.Upper && a.Count.Exact()
	r := &Rank{
		Topic:      q.Topic,
		Window:     q.Window.String(),
		Scope:      NewScope(q.Cell),
		Bounds:     NewBounds(a.Count),
		Exact:      exact,
		Error:      NewError(exact, a.SketchError),
		WholeCell:  NewWholeCell(a.Total),
		Interval:   NewInterval(a.Moment),
		Neighbours: make([]Neighbour, 0, len(a.Neighbours)),
	}
	for i, n := range a.Neighbours {
		if n.Count.Upper == 0 { // what does not occur has no rank
			continue
		}
		place := a.First + i
		r.Neighbours = append(r.Neighbours, Neighbour{Rank: place, Topic: n.Topic, Bounds: NewBounds(n.Count)})
		if n.Topic == q.Topic {
			r.Rank, r.RankLower, r.RankUpper = &place, &a.Lower, &a.Upper
		}
	}
	return r
}
