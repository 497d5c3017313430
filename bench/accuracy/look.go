package main

import (
	"context"
	"fmt"

	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// question is what every budget is asked: the board of a cell in a window, and
// the counts of some topics there.
type question struct {
	window messages.Window
	cell   messages.Cell
	topics []string
}

func (q *question) scope() client.Scope {
	return client.Scope{Window: q.window.String(), Category: q.cell.Category, Region: q.cell.Region}
}

func (q *question) String() string { return fmt.Sprintf("%v of %s", q.window, cellName(q.cell)) }

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

// ground is the truth about all cells in one interval.
type ground struct {
	start, end messages.Micros
	tallies    []*truth.Tally
	fed        []feed // the events of the cell at hand, once gathered
}

// top are the rows of a true board.
func top(t *truth.Tally, k int) []truth.Row { return t.Ranked()[:min(k, len(t.Ranked()))] }

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
			q := &question{w, cell, s.events.SomeTopics(s.rng, s.counts)}
			g.fed = nil
			for _, v := range s.surveys {
				if err := s.ask(ctx, v, q, g, cells, i); err != nil {
					return err
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

// ask compares the answers to a question about the i-th cell.
func (s *course) ask(ctx context.Context, v *survey, q *question, g *ground, cells []messages.Cell, i int) error {
	board, err := v.subject.board(ctx, q.scope(), s.k)
	if err != nil {
		return err
	}
	start, end := messages.MicrosOf(board.WindowStart), messages.MicrosOf(board.WindowEnd)
	if g.tallies == nil || g.start != start || g.end != end {
		*g = ground{start: start, end: end, tallies: s.events.Tally(start, end, cells)}
	}
	at, tally := v.at(q.window, q.cell), g.tallies[i]
	v.note(&at.score, q.String(), s.events.Interval(q.window.String(), board.Interval, s.events.Latest()))
	verdict := tally.Board(board)
	v.note(&at.score, "board "+q.String(), verdict)
	if want := top(tally, s.k); len(want) > 0 { // else there is nothing to find
		f := judged(board, verdict, len(want))
		if at.score.add(f); f.recall < enough {
			v.miss(miss{
				what: q.String(), events: s.events.Len(), recall: f.recall, rows: len(want),
				last: want[len(want)-1].Count, topics: len(tally.Ranked()),
			})
		}
		s.askPeers(v, q, g, i)
	}
	counts, err := v.subject.counts(ctx, q.topics, q.scope())
	if err != nil {
		return err
	}
	v.note(&at.score, "counts "+q.String(), tally.Counts(counts))
	at.score.counts += len(counts.Counts)
	return nil
}

// askPeers compares what peers make of the same board.
func (s *course) askPeers(v *survey, q *question, g *ground, i int) {
	if v.peerBytes == 0 {
		return
	}
	if g.fed == nil {
		g.fed = gather(&s.events, g, q.cell)
	}
	for j := range counters.Kinds {
		v.at(q.window, q.cell).peers[j].add(beside(&counters.Kinds[j], v.peerBytes, s.k, g.fed, g.tallies[i]))
	}
}
