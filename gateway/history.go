package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

const (
	// maxSeriesPoints bounds the points of all series of an answer (about
	// 12 MB of JSON).
	maxSeriesPoints = 100_000
	// defaultPoints bounds the points where no granularity is asked for.
	defaultPoints = 120
)

// history answers GET /api/v1/topics/{topic}/history and /api/v1/history.
func (s *Server) history(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.SeriesQuery{
		Topics: []string{p.topic(r)},
		Window: p.historyWindow(),
		Cell:   p.cell(),
		After:  s.after(p),
	}
	q.Granularity = p.granularity(q.Window)
	if err := p.done(); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	series, err := s.series(ctx, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewHistory(q, series))
}

// trendingHistory answers GET /api/v1/trending/history. The first topics of the
// interval that the points cover are the series; what they leave of the cell is
// one more.
func (s *Server) trendingHistory(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.SeriesQuery{
		Topics: []string{""}, // the cell's total
		Top:    p.number(defaultTop, 1, messages.MaxK, "top", "limit", "k"),
		Window: p.historyWindow(),
		Cell:   p.cell(),
		After:  s.after(p),
	}
	q.Granularity = p.granularity(q.Window)
	p.ranking()
	if points := pointsOf(q) * (q.Top + 1); points > maxSeriesPoints {
		p.fail(badRequest("top=%d with granularity=%s makes %d points; want at most %d: ask for a smaller top or a coarser granularity.",
			q.Top, messages.FormatLength(q.Granularity), points, maxSeriesPoints))
	}
	if err := p.done(); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	series, err := s.series(ctx, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewBoardHistory(q, series))
}

// historyWindow reads window= or its alias period=. A history of "all" would
// have no first point.
func (p *params) historyWindow() messages.Window {
	w := p.window(messages.Window1h, "window", "period")
	if p.err == nil && w == messages.WindowAll {
		p.fail(badParameter("window", "all", "a length from 10s to 30d: a history has a first point"))
	}
	return w
}

// granularity reads granularity=; 0 means that the server chooses.
func (p *params) granularity(w messages.Window) messages.Micros {
	_, v := p.one("granularity")
	if v == "" || p.err != nil {
		return 0
	}
	g, err := messages.ParseLength(v)
	window := messages.Micros(w)
	switch {
	case err != nil || g < messages.SliceLength || g%messages.SliceLength != 0:
		p.fail(badParameter("granularity", v, "a multiple of 5s, such as 5m"))
	case window%g != 0:
		p.fail(badParameter("granularity", v, fmt.Sprintf("a length that divides the window of %s evenly", w)))
	}
	return g
}

func pointsOf(q *messages.SeriesQuery) int {
	if q.Granularity == 0 {
		return defaultPoints
	}
	return int(messages.Micros(q.Window) / q.Granularity)
}

// series asks the engine. Without a granularity it chooses one: what is kept
// for a window of this length only the engine knows, so it asks for a fine one
// and, told the finest, for that or its next multiple that divides the window.
// The choice is left in q.
func (s *Server) series(ctx context.Context, q *messages.SeriesQuery) (*messages.Series, error) {
	chosen := q.Granularity != 0
	if !chosen {
		q.Granularity = divisor(messages.Micros(q.Window), messages.SliceLength)
	}
	if q.Granularity == 0 {
		return nil, noGranularity(q.Window, messages.SliceLength)
	}
	a, err := s.engine.Series(ctx, q)
	var notKept *messages.NotKeptError
	if chosen || !errors.As(err, &notKept) || notKept.Finest <= 0 {
		return a, err
	}
	if q.Granularity = divisor(messages.Micros(q.Window), notKept.Finest); q.Granularity == 0 {
		return nil, noGranularity(q.Window, notKept.Finest)
	}
	return s.engine.Series(ctx, q)
}

// divisor is the smallest multiple of grid that cuts the window into at most
// defaultPoints equal parts; 0 if there is none.
func divisor(window, grid messages.Micros) messages.Micros {
	least := (window / defaultPoints).Ceil(grid)
	for g := max(least, grid); g <= window; g += grid {
		if window%g == 0 {
			return g
		}
	}
	return 0
}

func noGranularity(w messages.Window, grid messages.Micros) error {
	return badParameter("window", w.String(), "a multiple of "+messages.FormatLength(grid)+" for a history")
}
