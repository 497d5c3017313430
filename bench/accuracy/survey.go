package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/peers"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// survey is the comparison of one stream with one budget.
type survey struct {
	name, memory string
	bytes        int64 // of memory; 0: nobody said
	subject      subject
	events       truth.Events
	rng          *rand.Rand
	windows      map[messages.Window]*score
	peers        map[messages.Window][]*score // by peers.Kinds; empty: none are compared
	peerBytes    int64
	untrue       []string // the first maxFalse
}

// maxFalse bounds how many false statements are printed.
const maxFalse = 10

// compare sends a stream to a subject of so much memory and compares along the
// way.
func (c *config) compare(ctx context.Context, name, memory string) (*survey, error) {
	lines, err := c.lines(name)
	if err != nil {
		return nil, err
	}
	s := &survey{
		name: name, memory: memory, rng: rand.New(rand.NewPCG(c.seed, 2)),
		windows: map[messages.Window]*score{}, peers: map[messages.Window][]*score{},
	}
	if err := c.open(ctx, s, lines); err != nil {
		return nil, err
	}
	defer s.subject.close()
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
		if err := s.subject.send(ctx, lines[sent:stop]); err != nil {
			return nil, err
		}
		sent = stop
		if err := s.look(ctx, c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// open starts what is compared, and finds out what memory it has.
func (c *config) open(ctx context.Context, s *survey, lines [][]byte) error {
	if s.memory != "" {
		n, share, err := budget(s.memory)
		if err != nil {
			return err
		}
		if s.bytes = int64(n); share {
			var events truth.Events
			for _, l := range lines {
				if err := events.AddLine(l); err != nil {
					return err
				}
			}
			whole, err := need(ctx, &events, c.shards)
			if err != nil {
				return err
			}
			s.bytes = int64(n * float64(whole))
		}
	}
	if c.share > 0 {
		s.peerBytes = s.bytes / int64(c.share)
	}
	if c.tables {
		s.subject = newTables(&s.events, c.shards, s.bytes)
		return nil
	}
	n, err := c.node(ctx, s.memory)
	s.subject = n
	return err
}

// look compares the boards and some counts of every window at this moment.
func (s *survey) look(ctx context.Context, c *config) error {
	cells := s.events.SomeCells(s.rng, c.cells)
	for _, w := range messages.StandardWindows {
		var tallies []*truth.Tally
		for i, cell := range cells {
			scope := client.Scope{Window: w.String(), Category: cell.Category, Region: cell.Region}
			board, err := s.subject.board(ctx, scope, c.k)
			if err != nil {
				return err
			}
			start, end := messages.MicrosOf(board.WindowStart), messages.MicrosOf(board.WindowEnd)
			if tallies == nil {
				s.note(w, fmt.Sprintf("%+v", scope), s.events.Interval(w.String(), board.Interval, s.events.Latest()))
				tallies = s.events.Tally(start, end, cells)
			}
			v := tallies[i].Board(board)
			s.note(w, fmt.Sprintf("board %+v", scope), v)
			s.window(w).add(judged(board, v, min(c.k, len(tallies[i].Ranked()))))
			if s.peerBytes > 0 {
				s.beside(w, c.k, start, end, cell, tallies[i])
			}

			counts, err := s.subject.counts(ctx, s.events.SomeTopics(s.rng, c.counts), scope)
			if err != nil {
				return err
			}
			s.note(w, fmt.Sprintf("counts %+v", scope), tallies[i].Counts(counts))
			s.windows[w].counts += len(counts.Counts)
		}
	}
	return nil
}

// judged is what was found of a board; what is false is noted apart.
func judged(b *api.Board, v truth.Verdict, rows int) *finding {
	f := &finding{recall: v.Recall, certified: b.Certified, rows: rows, exact: b.Exact}
	for _, r := range b.Topics {
		f.widths = append(f.widths, r.Upper-r.Lower)
	}
	return f
}

func (s *survey) beside(w messages.Window, k int, start, end messages.Micros, cell messages.Cell, t *truth.Tally) {
	if s.peers[w] == nil {
		for range peers.Kinds {
			s.peers[w] = append(s.peers[w], newScore())
		}
	}
	for i := range peers.Kinds {
		s.peers[w][i].add(beside(&peers.Kinds[i], s.peerBytes, k, &s.events, start, end, cell, t))
	}
}

func (s *survey) window(w messages.Window) *score {
	if s.windows[w] == nil {
		s.windows[w] = newScore()
	}
	return s.windows[w]
}

// note keeps what is false and how far off an answer was.
func (s *survey) note(w messages.Window, what string, v truth.Verdict) {
	sc := s.window(w)
	sc.lies += len(v.False)
	sc.maxError = max(sc.maxError, v.MaxError)
	for _, text := range v.False[:min(len(v.False), maxFalse-len(s.untrue))] {
		s.untrue = append(s.untrue, what+": "+text)
	}
}

func (s *survey) lies() int {
	n := 0
	for _, sc := range s.windows {
		n += sc.lies
	}
	return n
}

// all is the score over all windows: crest's, then the peers'.
func (s *survey) all() []*score {
	all := []*score{newScore()}
	for _, w := range messages.StandardWindows {
		all[0].merge(s.windows[w])
		for i, sc := range s.peers[w] {
			if len(all) == i+1 {
				all = append(all, newScore())
			}
			all[i+1].merge(sc)
		}
	}
	return all
}

func (s *survey) print(w io.Writer, share int) error {
	title := fmt.Sprintf("%s: %d events, %d topics", s.name, s.events.Len(), len(s.events.Topics()))
	if s.memory != "" {
		title += fmt.Sprintf(", memory %s (%s kB)", s.memory, bench.Number(float64(s.bytes)/1e3))
	}
	if t, ok := s.subject.(*tables); ok {
		title += fmt.Sprintf(", tables took %s kB", bench.Number(float64(t.used)/1e3))
	}
	t := bench.Table{Title: title, Head: slices.Concat([]string{"window"}, scoreHead, []string{"counts"})}
	for _, window := range messages.StandardWindows {
		sc := s.windows[window]
		t.Add(slices.Concat([]string{window.String()}, sc.cells(), []string{fmt.Sprint(sc.counts)})...)
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	for _, text := range s.untrue {
		if _, err := fmt.Fprintln(w, "false:", text); err != nil {
			return err
		}
	}
	if len(s.peers) == 0 {
		return nil
	}
	t = bench.Table{Title: "at the same memory", Head: slices.Concat([]string{"window", "engine"}, scoreHead)}
	for _, window := range messages.StandardWindows {
		for i, sc := range s.peers[window] {
			t.Add(slices.Concat([]string{window.String(), peers.Kinds[i].Name}, sc.cells())...)
		}
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, besideNote+"\n", share)
	return err
}
