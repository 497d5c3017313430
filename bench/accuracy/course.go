package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench/peers"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// course is one stream on its way through crest, with every budget at once: all
// are asked the same at the same moments.
type course struct {
	*config
	name         string
	events       truth.Events
	sent, topics int
	wanted, rows int  // at the end: rows that the true tops asked for are of, and all there are
	need         need // with shares of it alone
	rng          *rand.Rand
	surveys      []*survey
}

// compare sends a stream to a subject of each budget and compares along the
// way.
func (c *config) compare(ctx context.Context, name string) (_ *course, err error) {
	lines, err := c.lines(name)
	if err != nil {
		return nil, err
	}
	s := &course{config: c, name: streamName(name), rng: rand.New(rand.NewPCG(c.seed, 2))}
	defer s.close()
	if err := s.open(ctx, lines); err != nil {
		return nil, err
	}
	stops := []int{len(lines)}
	for range c.moments - 1 {
		stops = append(stops, 1+s.rng.IntN(len(lines)))
	}
	slices.Sort(stops)
	sent := 0
	for _, stop := range stops {
		for _, l := range lines[sent:stop] {
			if err := s.events.AddLine(l); err != nil {
				return nil, err
			}
		}
		for _, v := range s.surveys {
			if err := v.subject.send(ctx, lines[sent:stop]); err != nil {
				return nil, err
			}
		}
		sent = stop
		if err := s.look(ctx); err != nil {
			return nil, err
		}
	}
	s.sent, s.topics = s.events.Len(), len(s.events.Topics())
	return s, nil
}

// streamName is what a stream is called in tables.
func streamName(name string) string {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	return base
}

// open starts what is compared, and finds out what memory it has.
func (s *course) open(ctx context.Context, lines [][]byte) error {
	for _, memory := range s.memory {
		v := newSurvey(memory)
		if memory != "" {
			n, share, err := budget(memory)
			if err != nil {
				return err
			}
			if share && s.need.bytes == 0 {
				if s.need, err = needOf(ctx, lines, s.shards); err != nil {
					return err
				}
			}
			if v.bytes = int64(n); share {
				v.bytes = int64(n * float64(s.need.bytes))
			}
		}
		if s.share > 0 {
			v.peerBytes = v.bytes / int64(s.share)
		}
		if s.surveys = append(s.surveys, v); s.tables {
			v.subject = newTables(&s.events, s.shards, v.bytes)
			continue
		}
		node, err := s.node(ctx, memory)
		if err != nil {
			return err
		}
		v.subject = node
	}
	return nil
}

func (s *course) close() {
	for _, v := range s.surveys {
		if t, ok := v.subject.(*tables); ok {
			v.held = t.held
		}
		if v.subject != nil {
			v.subject.close()
		}
		v.subject = nil
	}
	s.events = truth.Events{} // only the scores are wanted from here on
}

// ground is the truth about the cells in one interval.
type ground struct {
	start, end messages.Micros
	tallies    []*truth.Tally
}

// look compares the boards and some counts of every window at this moment.
func (s *course) look(ctx context.Context) error {
	wanted := map[[2]string]bool{} // topic and region
	cells := s.events.SomeCells(s.rng, s.cells)
	if s.largest {
		cells = s.events.LargestCells(s.cells)
	}
	for _, w := range messages.StandardWindows {
		g := &ground{}
		for i, cell := range cells {
			scope := client.Scope{Window: w.String(), Category: cell.Category, Region: cell.Region}
			topics := s.events.SomeTopics(s.rng, s.counts)
			var fed []feed
			for _, v := range s.surveys {
				if err := s.ask(ctx, v, g, cells, i, w, scope, topics); err != nil {
					return err
				}
				if v.peerBytes == 0 {
					continue
				}
				if fed == nil {
					fed = gather(&s.events, g, cell)
				}
				for j := range peers.Kinds {
					v.at(w, cell).peers[j].add(beside(&peers.Kinds[j], v.peerBytes, s.k, fed, g.tallies[i]))
				}
			}
			for _, r := range top(g.tallies[i], s.k) {
				wanted[[2]string{r.Topic}], wanted[[2]string{r.Topic, cell.Region}] = true, true
			}
		}
	}
	s.wanted, s.rows = len(wanted), s.events.Keys()
	return nil
}

// top are the rows of a true board.
func top(t *truth.Tally, k int) []truth.Row { return t.Ranked()[:min(k, len(t.Ranked()))] }

// ask compares one board, and some counts of its cell.
func (s *course) ask(ctx context.Context, v *survey, g *ground, cells []messages.Cell, i int, w messages.Window, scope client.Scope, topics []string) error {
	board, err := v.subject.board(ctx, scope, s.k)
	if err != nil {
		return err
	}
	start, end := messages.MicrosOf(board.WindowStart), messages.MicrosOf(board.WindowEnd)
	if g.tallies == nil || g.start != start || g.end != end {
		*g = ground{start, end, s.events.Tally(start, end, cells)}
	}
	sc, tally := &v.at(w, cells[i]).score, g.tallies[i]
	what := fmt.Sprintf("%v of %s", w, cellName(cells[i]))
	v.note(sc, what, s.events.Interval(w.String(), board.Interval, s.events.Latest()))
	verdict := tally.Board(board)
	v.note(sc, "board "+what, verdict)
	want := top(tally, s.k)
	f := judged(board, verdict, len(want))
	if sc.add(f); f.recall < enough {
		v.miss(miss{
			what: what, events: s.events.Len(), recall: f.recall, rows: len(want),
			last: want[len(want)-1].Count, topics: len(tally.Ranked()),
		})
	}

	counts, err := v.subject.counts(ctx, topics, scope)
	if err != nil {
		return err
	}
	v.note(sc, "counts "+what, tally.Counts(counts))
	sc.counts += len(counts.Counts)
	return nil
}

// cellName is how a cell is called in tables.
func cellName(c messages.Cell) string {
	switch {
	case c == messages.Cell{}:
		return "any"
	case c.Category == "":
		return "region " + c.Region
	case c.Region == "":
		return "category " + c.Category
	}
	return c.Category + " in " + c.Region
}
