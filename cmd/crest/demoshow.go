package main

import (
	"context"
	"fmt"
	"time"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

const (
	showEvery   = 500 * time.Millisecond // on a terminal
	printEvery  = 2 * time.Second        // elsewhere
	showWindow  = "5m"
	trendWindow = "2m" // a development fine enough to be seen moving
	trendStep   = "5s"
	nowWindow   = "10s" // what goes viral stands out here …
	shortWindow = "1m"  // … against this
)

// show draws the demo's board.
type show struct {
	world
	node   *client.Client
	feeder *feeder
	url    string
	began  time.Time

	mover screen.Mover
	paces []pace // of the last seconds, oldest first
}

// pace is how many events were sent at a moment.
type pace struct {
	at     time.Time
	events uint64
}

// run draws until ctx ends.
func (s *show) run(ctx context.Context) error {
	v := newView(s.world)
	every := showEvery
	if v.painter == nil {
		every = printEvery
		if err := s.printLines([]string{"crest demo at " + s.url}); err != nil {
			return err
		}
	}
	for {
		if sleep(ctx, every) != nil {
			return v.close(nil)
		}
		p, err := s.ask(ctx)
		if ctx.Err() != nil {
			return v.close(nil)
		}
		if err == nil {
			err = v.draw(func(width, _ int, color bool) []string { return s.lines(p, width, color) })
		}
		if err != nil {
			return v.close(err)
		}
	}
}

// picture is what one drawing shows.
type picture struct {
	*frame
	viral *viral
	stats feedStats
	rate  uint64 // events per second
}

func (s *show) ask(ctx context.Context) (*picture, error) {
	f, err := askBoard(ctx, s.node, client.TrendingQuery{Scope: client.Scope{Window: showWindow}, Top: 10}, trendWindow, trendStep)
	if err != nil {
		return nil, fmt.Errorf("ask for the board: %w", err)
	}
	p := &picture{frame: f, stats: s.feeder.stats()}
	p.rate = s.rate(p.stats.events)
	now, err := s.node.Trending(ctx, client.TrendingQuery{Scope: client.Scope{Window: nowWindow}, Top: 10})
	if err != nil {
		return nil, fmt.Errorf("ask for the last seconds: %w", err)
	}
	short, err := s.counts(ctx, now.Topics)
	if err != nil {
		return nil, fmt.Errorf("ask for the last minute: %w", err)
	}
	p.viral = findViral(now, short)
	return p, nil
}

func (s *show) counts(ctx context.Context, rows []api.BoardRow) (*api.Counts, error) {
	if len(rows) == 0 {
		return &api.Counts{}, nil
	}
	topics := make([]string, len(rows))
	for i := range rows {
		topics[i] = rows[i].Topic
	}
	return s.node.Counts(ctx, topics, client.Scope{Window: shortWindow})
}

// rate is the events per second of the last seconds.
func (s *show) rate(events uint64) uint64 {
	now := pace{time.Now(), events}
	if len(s.paces) == 0 {
		s.paces = append(s.paces, pace{at: s.began})
	}
	s.paces = append(s.paces, now)
	for len(s.paces) > 2 && now.at.Sub(s.paces[1].at) > 3*time.Second {
		s.paces = s.paces[1:]
	}
	oldest := s.paces[0]
	return uint64(float64(now.events-oldest.events) / max(now.at.Sub(oldest.at).Seconds(), 1e-3))
}

// viral is a topic that takes far more of the stream now than it did.
type viral struct {
	topic       string
	now, before float64 // shares of nowWindow and shortWindow
}

// viralGain is how much more of the stream a topic must take than before.
const viralGain = 0.03

// findViral compares the rows of the last seconds with the same topics' counts
// of the last minute, in their order; nil if nothing stands out.
func findViral(now *api.Board, short *api.Counts) *viral {
	var best *viral
	for i := range min(len(now.Topics), len(short.Counts)) {
		v := viral{now.Topics[i].Topic, share(now.Topics[i].Estimate, now.Estimate), share(short.Counts[i].Estimate, short.WindowTotal)}
		if v.now-v.before >= viralGain && (best == nil || v.now-v.before > best.now-best.before) {
			best = &v
		}
	}
	return best
}

func share(part, whole uint64) float64 { return float64(part) / float64(max(whole, 1)) }

// lines draws a picture.
func (s *show) lines(p *picture, width int, color bool) []string {
	head := "crest demo · " + s.url
	how := fmt.Sprintf("%s events/s · %s sent · visible in %s", screen.Number(p.rate), screen.Number(p.stats.events), p.stats.visible())
	news, marked := "viral now: nothing yet", ""
	style := screen.Dim
	if v := p.viral; v != nil {
		news = fmt.Sprintf("viral now: %s · %.1f%% of all views in the last %s, %.1f%% in the last %s", screen.Clean(v.topic), 100*v.now, nowWindow, 100*v.before, shortWindow)
		marked, style = v.topic, screen.Yellow
	}
	lines := []string{
		screen.Accent.Paint(screen.Shorten(head, width), color),
		screen.Shorten(how, width),
		style.Paint(screen.Shorten(news, width), color),
		"",
	}
	return append(lines, s.mover.Lines(p.board, p.trends, marked, width, color)...)
}
