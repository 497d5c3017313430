package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// survey is the comparison of one stream.
type survey struct {
	name    string
	client  *client.Client
	events  truth.Events
	rng     *rand.Rand
	windows map[messages.Window]*score
	untrue  []string // the first maxFalse
}

// score is what was found in one window.
type score struct {
	boards, exact, counts, lies int
	recall, leastRecall         float64 // sum, least
	certified                   float64 // sum of shares
	maxError                    uint64
}

// maxFalse bounds how many false statements are printed.
const maxFalse = 10

// requestEvents is how many events go into a request.
const requestEvents = 5000

// compare sends a stream and compares along the way.
func (c *config) compare(ctx context.Context, name string) (s *survey, err error) {
	lines, err := c.lines(name)
	if err != nil {
		return nil, err
	}
	addr := c.addr
	if addr == "" {
		data, err := os.MkdirTemp("", "crest-accuracy")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(data)
		node, err := bench.Start(c.bin, data, append([]string{"--clock", "event", "--log-level", "warn"}, strings.Fields(c.flags)...)...)
		if err != nil {
			return nil, err
		}
		defer node.Kill()
		ready, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if addr, err = node.Ready(ready); err != nil {
			return nil, err
		}
	}
	s = &survey{name: name, rng: rand.New(rand.NewPCG(c.seed, 2)), windows: map[messages.Window]*score{}}
	if s.client, err = client.New(addr); err != nil {
		return nil, err
	}
	defer s.client.Close()
	ledger, err := s.client.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	if ledger.Total.Logged > 0 {
		return nil, fmt.Errorf("the node at %s has %d events in its log: want an empty one", addr, ledger.Total.Logged)
	}
	stops := []int{len(lines)}
	for range c.moments - 1 {
		stops = append(stops, 1+s.rng.IntN(len(lines)))
	}
	slices.Sort(stops)
	sent := 0
	for _, stop := range stops {
		if err := s.send(ctx, lines[sent:stop]); err != nil {
			return nil, err
		}
		sent = stop
		if err := s.look(ctx, c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// send sends events and waits until the last of them is counted.
func (s *survey) send(ctx context.Context, lines [][]byte) error {
	position := ""
	for chunk := range slices.Chunk(lines, requestEvents) {
		for _, l := range chunk {
			if err := s.events.AddLine(l); err != nil {
				return err
			}
		}
		answer, err := s.client.Ingest(ctx, &client.Events{Body: bytes.Join(chunk, nil), ContentType: client.NDJSON})
		if err != nil {
			return err
		}
		if answer.Status != "success" {
			return fmt.Errorf("not all of %d events were taken: %+v", len(chunk), answer.Errors)
		}
		position = answer.Position
	}
	_, err := s.client.Count(ctx, "any", client.Scope{After: position})
	return err
}

// look compares the boards and some counts of every window at this moment.
func (s *survey) look(ctx context.Context, c *config) error {
	cells := s.events.SomeCells(s.rng, c.cells)
	for _, w := range messages.StandardWindows {
		var tallies []*truth.Tally
		for i, cell := range cells {
			scope := client.Scope{Window: w.String(), Category: cell.Category, Region: cell.Region}
			board, err := s.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: c.k})
			if err != nil {
				return err
			}
			if tallies == nil {
				s.note(w, fmt.Sprintf("%+v", scope), s.events.Interval(w.String(), board.Interval, s.events.Latest()))
				tallies = s.events.Tally(messages.MicrosOf(board.WindowStart), messages.MicrosOf(board.WindowEnd), cells)
			}
			v := tallies[i].Board(board)
			s.note(w, fmt.Sprintf("board %+v", scope), v)
			s.windows[w].board(v, board.Exact, board.Certified, min(c.k, len(tallies[i].Ranked())))

			counts, err := s.client.Counts(ctx, s.events.SomeTopics(s.rng, c.counts), scope)
			if err != nil {
				return err
			}
			s.note(w, fmt.Sprintf("counts %+v", scope), tallies[i].Counts(counts))
			s.windows[w].counts += len(counts.Counts)
		}
	}
	return nil
}

// note keeps what is false and how far off an answer was.
func (s *survey) note(w messages.Window, what string, v truth.Verdict) {
	if s.windows[w] == nil {
		s.windows[w] = &score{leastRecall: 1}
	}
	sc := s.windows[w]
	sc.lies += len(v.False)
	sc.maxError = max(sc.maxError, v.MaxError)
	for _, text := range v.False[:min(len(v.False), maxFalse-len(s.untrue))] {
		s.untrue = append(s.untrue, what+": "+text)
	}
}

// board adds a board; rows is how many it can have.
func (sc *score) board(v truth.Verdict, exact bool, certified, rows int) {
	sc.boards++
	sc.recall += v.Recall
	sc.leastRecall = min(sc.leastRecall, v.Recall)
	share := 1.0
	if rows > 0 {
		share = float64(certified) / float64(rows)
	}
	sc.certified += share
	if exact {
		sc.exact++
	}
}

func (s *survey) lies() int {
	n := 0
	for _, sc := range s.windows {
		n += sc.lies
	}
	return n
}

func (s *survey) print(w io.Writer) error {
	t := bench.Table{
		Title: fmt.Sprintf("%s: %d events, %d topics", s.name, s.events.Len(), len(s.events.Topics())),
		Head:  []string{"window", "boards", "recall", "least", "certified", "exact", "max error", "counts", "false"},
	}
	share := func(sum float64, n int) string { return fmt.Sprintf("%.4f", sum/float64(n)) }
	for _, window := range messages.StandardWindows {
		sc := s.windows[window]
		t.Add(window.String(), fmt.Sprint(sc.boards), share(sc.recall, sc.boards), fmt.Sprintf("%.4f", sc.leastRecall),
			share(sc.certified, sc.boards), share(float64(sc.exact), sc.boards),
			bench.Number(float64(sc.maxError)), fmt.Sprint(sc.counts), fmt.Sprint(sc.lies))
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	for _, text := range s.untrue {
		if _, err := fmt.Fprintln(w, "false:", text); err != nil {
			return err
		}
	}
	return nil
}
