package screen

import (
	"strconv"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// moveSpan is how far back a board is compared with: long enough for a move to
// be seen, short enough to be news.
const moveSpan = 5 * time.Second

// moveWidth is a title that keeps the column of moves from going to and fro.
const moveWidth = "   "

// Mover draws one board again and again, with what moved in between. It
// belongs to one goroutine.
type Mover struct {
	past []snapshot // oldest first; all but the first are younger than moveSpan
}

type snapshot struct {
	at   time.Time
	rows map[string]api.BoardRow
}

// Lines draws the board, compared with the one of moveSpan before. trends has
// a series of counts for each topic, oldest first; marked is a topic to point
// out, "" for none.
func (m *Mover) Lines(b *api.Board, trends map[string][]uint64, marked string, width int, color bool) []string {
	before := m.remember(b)
	t := &Table{Columns: []Column{
		{Title: "#", Right: true}, {Title: moveWidth}, {Title: "topic", Min: 11}, {Title: "count", Right: true},
		{Title: before.since(b.AsOf), Right: true}, {Title: "trend"}, {Title: "share", Right: true}, {},
	}}
	for i := range b.Topics {
		r := &b.Topics[i]
		look := Bold
		if r.Topic == marked {
			look = Yellow
		}
		old, known := before.rows[r.Topic]
		change := Cell{}
		if known {
			change = Cell{Signed(old.Estimate, r.Estimate), Dim}
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: strconv.Itoa(r.Rank)}, move(old.Rank, r.Rank, known, len(before.rows) > 0), {r.Topic, look}, {Text: Number(r.Estimate)},
			change, {Sparkline(trends[r.Topic]), Accent}, {Text: Percent(r.Estimate, b.Estimate)}, {Bar(r.Estimate, b.Estimate, barWidth), look},
		})
	}
	lines := append([]string{heading(b, width, color)}, t.Lines(width, color)...)
	if !b.Exact && len(b.Topics) > 0 {
		lines = append(lines, Dim.Paint(Shorten(certainty(b), width), color))
	}
	return lines
}

// move says how a topic moved.
func move(from, to int, known, compared bool) Cell {
	switch {
	case !compared:
		return Cell{}
	case !known:
		return Cell{"new", Green}
	case to < from:
		return Cell{"▲" + strconv.Itoa(from-to), Green}
	case to > from:
		return Cell{"▼" + strconv.Itoa(to-from), Red}
	}
	return Cell{}
}

// remember takes the board up and gives back the one to compare with.
func (m *Mover) remember(b *api.Board) snapshot {
	now := snapshot{at: b.AsOf, rows: make(map[string]api.BoardRow, len(b.Topics))}
	for _, r := range b.Topics {
		now.rows[r.Topic] = r
	}
	if n := len(m.past); n > 0 && now.at.Before(m.past[n-1].at) {
		m.past = nil // another node, or an event clock that was begun anew
	}
	m.past = append(m.past, now)
	for len(m.past) > 2 && now.at.Sub(m.past[1].at) >= moveSpan {
		m.past = m.past[1:]
	}
	return m.past[0]
}

// since names the time from the snapshot to now.
func (s snapshot) since(now time.Time) string {
	if d := now.Sub(s.at).Round(time.Second); d > 0 {
		return "in " + d.String()
	}
	return "change"
}
