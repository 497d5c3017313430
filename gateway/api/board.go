package api

import "github.com/crestdb/crest/messages"

// Board answers GET /api/v1/trending: the top of a cell in a window.
type Board struct {
	Window string `json:"window"`
	Scope
	Rank string `json:"rank"` // what the rows are ranked by
	Top  int    `json:"top"`
	Interval
	Version string `json:"version"`
	Total
	Certified int  `json:"certified"` // the first n rows are provably the true top n as a set
	Exact     bool `json:"exact"`
	Error
	Topics []BoardRow `json:"topics"`
}

// RankCount is the one ranking served: by count in the window.
const RankCount = "count"

// BoardRow is one topic of a board; rank 1 is the first.
type BoardRow struct {
	Rank  int    `json:"rank"`
	Topic string `json:"topic"`
	Bounds
	Score     uint64 `json:"score"` // the value ranked by
	Certified bool   `json:"certified"`
}

// NewBoard converts a board.
func NewBoard(b *messages.Board) *Board {
	out := &Board{
		Window:    b.Window.String(),
		Scope:     NewScope(b.Cell),
		Rank:      RankCount,
		Top:       b.K,
		Interval:  NewInterval(b.Moment),
		Version:   b.Version,
		Total:     NewTotal(b.Total),
		Certified: b.Certified,
		Exact:     b.Exact,
		Error:     NewError(b.Exact, b.SketchError),
		Topics:    make([]BoardRow, len(b.Rows)),
	}
	for i, r := range b.Rows {
		out.Topics[i] = BoardRow{Rank: i + 1, Topic: r.Topic, Bounds: NewBounds(r.Count), Score: r.Count.Lower, Certified: r.Certified}
	}
	return out
}

// VideoBoard answers GET /api/trending: the same board as video services
// expect it.
type VideoBoard struct {
	Trending []Video `json:"trending"`
}

// Video is a row of a VideoBoard. Title, channel and thumbnail are null where
// nothing is known of the video.
type Video struct {
	VideoID   string  `json:"video_id"`
	Title     *string `json:"title"`
	Channel   *string `json:"channel"`
	Thumbnail *string `json:"thumbnail"`
	Views     uint64  `json:"views"`
	Rank      int     `json:"rank"`
}

// NewVideoBoard converts a board.
func NewVideoBoard(b *messages.Board) *VideoBoard {
	v := &VideoBoard{Trending: make([]Video, len(b.Rows))}
	for i, r := range b.Rows {
		v.Trending[i] = Video{VideoID: r.Topic, Views: r.Count.Estimate, Rank: i + 1}
	}
	return v
}
