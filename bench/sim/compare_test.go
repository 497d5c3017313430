//go:build e2e

package sim

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// comparison holds a node's answers against the truth.
type comparison struct {
	t      *testing.T
	client *client.Client
	events *truth.Events
	rng    *rand.Rand
	cells  []messages.Cell
	// engineTime is what every answer has to be as of; 0: whatever it says.
	engineTime messages.Micros
	// after is a position that every answer has to cover: a board may be one that
	// was pulled a moment ago, before the last events came.
	after string
	// exact: every answer has to be exact, not merely true.
	exact bool

	tallies map[interval][]*truth.Tally // of cells

	boards, counts, histories int // compared so far
	inexact                   int // of them, with lower < upper somewhere
}

type interval struct{ start, end messages.Micros }

// maxLies bounds what a failed comparison prints.
const maxLies = 20

func (c *comparison) lies(what string, v truth.Verdict) {
	c.t.Helper()
	for i, lie := range v.False {
		if i == maxLies {
			c.t.Errorf("%s: and %d more", what, len(v.False)-i)
			break
		}
		c.t.Errorf("%s: %s", what, lie)
	}
	if len(v.False) > 0 && c.t.Failed() {
		c.t.FailNow() // one wrong answer says enough
	}
}

// tally is the truth about a cell (by its place in cells) in an answer's
// window.
func (c *comparison) tally(window string, at api.Interval, cell int) *truth.Tally {
	c.t.Helper()
	engineTime := c.engineTime
	if engineTime == 0 {
		engineTime = messages.MicrosOf(at.AsOf)
	}
	c.lies(window, c.events.Interval(window, at, engineTime))
	i := interval{messages.MicrosOf(at.WindowStart), messages.MicrosOf(at.WindowEnd)}
	if c.tallies == nil {
		c.tallies = map[interval][]*truth.Tally{}
	}
	if c.tallies[i] == nil {
		c.tallies[i] = c.events.Tally(i.start, i.end, c.cells)
	}
	return c.tallies[i][cell]
}

func (c *comparison) scope(window string, cell messages.Cell) client.Scope {
	return client.Scope{Window: window, Category: cell.Category, Region: cell.Region, After: c.after}
}

// noteExact keeps account of an answer that is exact or not.
func (c *comparison) noteExact(exact bool, what string, args ...any) {
	c.t.Helper()
	if exact {
		return
	}
	c.inexact++
	if c.exact {
		c.t.Fatalf("not exact: "+what, args...)
	}
}

// windows compares the boards of every standard window and cell, and the
// counts of `topics` topics in each; and the same for two other windows.
func (c *comparison) windows(ctx context.Context, topics int) {
	c.t.Helper()
	windows := []string{c.otherWindow(), c.otherWindow()}
	for _, w := range messages.StandardWindows {
		windows = append(windows, w.String())
	}
	for _, w := range windows {
		for i := range c.cells {
			c.board(ctx, w, i)
			c.countsOf(ctx, w, i, c.events.SomeTopics(c.rng, topics))
		}
	}
}

// otherWindow is a random length from 10 s to 30 days; short ones come up as
// often as long ones.
func (c *comparison) otherWindow() string {
	scale := []messages.Micros{messages.Minute, messages.Hour, messages.Day, 30 * messages.Day}[c.rng.IntN(4)]
	length := messages.Micros(c.rng.Int64N(int64(scale))).Ceil(messages.Second)
	return messages.Window(max(10*messages.Second, length)).String()
}

func (c *comparison) board(ctx context.Context, window string, cell int) {
	c.t.Helper()
	scope := c.scope(window, c.cells[cell])
	board, err := c.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: 1 + c.rng.IntN(messages.MaxK)})
	if err != nil {
		c.t.Fatalf("board %+v: %v", scope, err)
	}
	v := c.tally(window, board.Interval, cell).Board(board)
	if len(v.False) > 0 {
		c.t.Logf("board %+v, top %d", scope, board.Top)
	}
	c.lies("board "+window, v)
	c.noteExact(board.Exact, "board %+v, top %d", scope, board.Top)
	c.boards++
}

func (c *comparison) countsOf(ctx context.Context, window string, cell int, topics []string) {
	c.t.Helper()
	scope := c.scope(window, c.cells[cell])
	counts, err := c.client.Counts(ctx, topics, scope)
	if err != nil {
		c.t.Fatalf("counts %+v: %v", scope, err)
	}
	if len(counts.Counts) != len(topics) {
		c.t.Fatalf("counts %+v: %d answers to %d topics", scope, len(counts.Counts), len(topics))
	}
	v := c.tally(window, counts.Interval, cell).Counts(counts)
	for i, topic := range topics {
		if counts.Counts[i].Topic != topic {
			c.t.Fatalf("counts %+v: %q answered as %q", scope, topic, counts.Counts[i].Topic)
		}
		c.noteExact(counts.Counts[i].Exact, "count of %q in %+v", topic, scope)
	}
	if len(v.False) > 0 {
		c.t.Logf("counts %+v", scope)
	}
	c.lies("counts "+window, v)
	c.counts += len(topics)
}

// developments are the histories that are asked for: window, granularity.
var developments = [][2]string{{"5m", "5s"}, {"10m", "10s"}, {"1h", "1m"}, {"1h", "5m"}, {"24h", "20m"}, {"24h", "1h"}, {"7d", "2h"}, {"7d", "1d"}, {"30d", "12h"}, {"30d", "1d"}}

// someHistories compares n histories of random topics, windows and cells.
func (c *comparison) someHistories(ctx context.Context, n int) {
	c.t.Helper()
	for _, topic := range c.events.SomeTopics(c.rng, n) {
		d := developments[c.rng.IntN(len(developments))]
		cell := c.cells[c.rng.IntN(len(c.cells))]
		h, err := c.client.History(ctx, topic, d[1], c.scope(d[0], cell))
		if err != nil {
			c.t.Fatalf("history of %q, %s by %s in %+v: %v", topic, d[0], d[1], cell, err)
		}
		v := c.events.History(h, cell)
		if len(v.False) > 0 {
			c.t.Logf("history of %q, %s by %s in %+v", topic, d[0], d[1], cell)
		}
		c.lies("history", v)
		c.noteExact(h.Exact, "history of %q, %s by %s in %+v", topic, d[0], d[1], cell)
		c.histories++
	}
}

// ledger compares the account of the node: at rest, everything in the log was
// counted or was there before, and what was counted is what was sent.
func (c *comparison) ledger(ctx context.Context) {
	c.t.Helper()
	sum := c.atRest(ctx)
	if sum.Logged != sum.Counted+sum.Duplicates+sum.DeadLettered {
		c.t.Errorf("the ledger does not balance: %+v", sum)
	}
	if sum.Counted != uint64(c.events.Len()) || sum.DeadLettered != 0 {
		c.t.Errorf("%d events counted and %d refused, %d were sent: %+v", sum.Counted, sum.DeadLettered, c.events.Len(), sum)
	}
	c.t.Logf("%d events counted, %d duplicates dropped, digest %s", sum.Counted, sum.Duplicates, sum.StateDigest)
}

// atRest waits until all that is in the log is counted.
func (c *comparison) atRest(ctx context.Context) api.PartitionLedger {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		l, err := c.client.Ledger(ctx)
		if err != nil {
			c.t.Fatalf("ledger: %v", err)
		}
		if l.Total.AppliedOffset == l.Total.NextOffset {
			return l.Total
		}
		if !pause(ctx, 5*time.Millisecond) {
			c.t.Fatalf("the log is not counted to its end: %+v", l.Total)
		}
	}
}

// everything compares all answers about what the senders wrote down, and the
// count of every single topic.
func everything(ctx context.Context, s *server, r *record, rng *rand.Rand) {
	s.t.Helper()
	c := &comparison{t: s.t, client: s.client.Load(), events: &r.events, rng: rng, exact: true, cells: []messages.Cell{
		{}, {Category: "music"}, {Region: "IN"}, {Category: "news", Region: "US"}, {Category: "unheard of"},
	}}
	c.ledger(ctx)
	topics := r.events.Topics()
	for from := 0; from < len(topics); from += 1000 {
		c.countsOf(ctx, "all", 0, topics[from:min(from+1000, len(topics))])
	}
	c.windows(ctx, 20)
	c.someHistories(ctx, 20)
	s.t.Logf("%d boards, %d counts, %d histories are exact and true", c.boards, c.counts, c.histories)
}
