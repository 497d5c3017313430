package api

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// History answers GET /api/v1/topics/{topic}/history.
type History struct {
	Topic       string `json:"topic"`
	Window      string `json:"window"`
	Granularity string `json:"granularity"`
	Scope
	Exact bool `json:"exact"`
	Error
	Interval
	Trend []Point `json:"trend"` // oldest first, gaps as 0
}

// Point is the count of the granularity that begins at its timestamp.
type Point struct {
	Timestamp time.Time `json:"timestamp"`
	Bounds
}

// BoardHistory answers GET /api/v1/trending/history: how the rows that lead
// the window now developed, and everything else as one series, so that the
// series add up to the cell.
type BoardHistory struct {
	Window      string `json:"window"`
	Granularity string `json:"granularity"`
	Scope
	Top   int  `json:"top"`
	Exact bool `json:"exact"`
	Error
	Interval
	Topics []TopicHistory `json:"topics"`
	Other  OtherHistory   `json:"other"`
}

// TopicHistory is one row of a BoardHistory.
type TopicHistory struct {
	Rank  int    `json:"rank"`
	Topic string `json:"topic"`
	Bounds
	Trend []Point `json:"trend"`
}

// OtherHistory is what the rows of a BoardHistory leave of the cell.
type OtherHistory struct {
	Trend []Point `json:"trend"`
}

// NewHistory converts the series of one topic.
func NewHistory(q *messages.SeriesQuery, s *messages.Series) *History {
	exact := allExact(s.Counts)
	return &History{
		Topic:       q.Topics[0],
		Window:      q.Window.String(),
		Granularity: messages.FormatLength(q.Granularity),
		Scope:       NewScope(q.Cell),
		Exact:       exact,
		Error:       NewError(exact, s.SketchError),
		Interval:    NewInterval(s.Moment),
		Trend:       newTrend(s.Starts, s.Counts[0]),
	}
}

// NewBoardHistory converts the series of a board's rows. The last series is
// the cell's total.
func NewBoardHistory(q *messages.SeriesQuery, s *messages.Series) *BoardHistory {
	rows := s.Top
	exact := allExact(s.Counts)
	h := &BoardHistory{
		Window:      q.Window.String(),
		Granularity: messages.FormatLength(q.Granularity),
		Scope:       NewScope(q.Cell),
		Top:         q.Top,
		Exact:       exact,
		Error:       NewError(exact, s.SketchError),
		Interval:    NewInterval(s.Moment),
		Topics:      make([]TopicHistory, len(rows)),
	}
	for i, r := range rows {
		h.Topics[i] = TopicHistory{Rank: i + 1, Topic: r.Topic, Bounds: NewBounds(r.Count), Trend: newTrend(s.Starts, s.Counts[i])}
	}
	h.Other.Trend = newTrend(s.Starts, rest(s.Counts[len(rows)], s.Counts[:len(rows)]))
	return h
}

func newTrend(starts []messages.Micros, counts []messages.Count) []Point {
	points := make([]Point, len(starts))
	for i, at := range starts {
		points[i] = Point{Timestamp: at.Time(), Bounds: NewBounds(counts[i])}
	}
	return points
}

// rest is total − Σ parts, point by point. The bounds stay true: least of the
// total less most of the parts, and the other way round.
func rest(total []messages.Count, parts [][]messages.Count) []messages.Count {
	out := make([]messages.Count, len(total))
	for i, t := range total {
		var sum messages.Count
		for _, p := range parts {
			sum = sum.Add(p[i])
		}
		lower, upper := minus(t.Lower, sum.Upper), minus(t.Upper, sum.Lower)
		out[i] = messages.Count{Lower: lower, Estimate: min(max(minus(t.Estimate, sum.Estimate), lower), upper), Upper: upper}
	}
	return out
}

// minus is a − b, at least 0.
func minus(a, b uint64) uint64 { return a - min(a, b) }

func allExact(series [][]messages.Count) bool {
	for _, counts := range series {
		for _, c := range counts {
			if !c.Exact() {
				return false
			}
		}
	}
	return true
}
