package main

import (
	"context"
	"errors"
	"time"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// watch draws a board again and again until ctx ends. Once it has begun, an
// error of the node is shown and asked about again: nodes restart.
func watch(ctx context.Context, w world, node *client.Client, q client.TrendingQuery, every time.Duration) error {
	window, err := messages.ParseWindow(q.Window)
	if err != nil {
		return err
	}
	trend, granularity := trendOf(window)
	var mover screen.Mover
	v := newView(w)
	for first := true; ; first = false {
		frame, err := askBoard(ctx, node, q, trend, granularity)
		if ctx.Err() != nil {
			return v.close(nil)
		}
		if err != nil && first {
			return v.close(err)
		}
		if err != nil {
			err = v.note("no answer: " + err.Error())
		} else {
			err = v.draw(func(width, _ int, color bool) []string {
				return mover.Lines(frame.board, frame.trends, "", width, color)
			})
		}
		if err != nil {
			return v.close(err)
		}
		if sleep(ctx, every) != nil {
			return v.close(nil)
		}
	}
}

// sleep waits, or less if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// frame is a board with how its topics developed.
type frame struct {
	board  *api.Board
	trends map[string][]uint64
}

// askBoard asks for a board and the development of its topics, over trend and
// in steps of granularity.
func askBoard(ctx context.Context, node *client.Client, q client.TrendingQuery, trend, granularity string) (*frame, error) {
	board, err := node.Trending(ctx, q)
	if err != nil {
		return nil, err
	}
	f := &frame{board: board, trends: map[string][]uint64{}}
	scope := q.Scope
	scope.Window = trend
	// More topics than the board has: those that lead over trend may be others.
	h, err := node.TrendingHistory(ctx, min(q.Top+trendMargin, maxTrends), granularity, scope)
	var said *client.Error
	if errors.As(err, &said) {
		return f, nil // the board is there; a trend is only its ornament
	}
	if err != nil {
		return nil, err
	}
	for _, t := range h.Topics {
		f.trends[t.Topic] = finished(t.Trend)
	}
	return f, nil
}

// finished are the counts of a development without the last one, which has not
// ended yet and would look like a fall.
func finished(points []api.Point) []uint64 {
	values := make([]uint64, max(0, len(points)-1))
	for i := range values {
		values[i] = points[i].Estimate
	}
	return values
}

const (
	maxTrends   = 100 // topics whose development is asked for
	trendMargin = 20
	trendSize   = 20 // points of a development, about
)

// trendOf is the stretch of time whose development goes with a window, and its
// steps: about trendSize, each a multiple of the slices that are kept for one
// so long. "all" has no beginning; it goes with the longest that has.
func trendOf(w messages.Window) (trend, granularity string) {
	if w == messages.WindowAll {
		w = messages.Window30d
	}
	slice := 12 * messages.Hour
	for _, s := range []struct{ window, slice messages.Micros }{
		{5 * messages.Minute, 5 * messages.Second}, {12 * messages.Minute, 10 * messages.Second}, {72 * messages.Minute, messages.Minute},
		{4 * messages.Hour, 5 * messages.Minute}, {25 * messages.Hour, 20 * messages.Minute}, {7 * messages.Day, 2 * messages.Hour},
	} {
		if messages.Micros(w) <= s.window {
			slice = s.slice
			break
		}
	}
	// The largest number of points, not above trendSize or by much, that
	// divides the window evenly.
	for points := messages.Micros(trendSize + 4); points > 1; points-- {
		if g := messages.Micros(w) / points; messages.Micros(w)%points == 0 && g%slice == 0 {
			return w.String(), messages.FormatLength(g)
		}
	}
	return w.String(), "" // the node chooses
}
