package screen

import (
	"fmt"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// Pair is a name with its value.
type Pair struct {
	Name  string
	Value Cell
}

// Pairs draws names with their values, aligned.
func Pairs(pairs []Pair, color bool) []string {
	widest := 0
	for _, p := range pairs {
		widest = max(widest, Width(p.Name))
	}
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = Dim.Paint(Fit(p.Name, widest, false), color) + gap + p.Value.Style.Paint(Clean(p.Value.Text), color)
	}
	return lines
}

// Count draws how often a topic occurred.
func Count(c *api.Count, color bool) []string {
	value := Number(c.Estimate)
	if !c.Exact {
		value += fmt.Sprintf("  (between %s and %s)", Number(c.Lower), Number(c.Upper))
	}
	share := Cell{Text: Percent(c.Estimate, c.WindowTotal) + " of " + Number(c.WindowTotal)}
	if c.WindowTotalUpper == nil {
		share = Cell{fmt.Sprintf("not known: a partition has failed; the others have %s", Number(c.WindowTotal)), Yellow}
	}
	return Pairs([]Pair{
		{"topic", Cell{c.Topic, Bold}},
		{"count", Cell{Text: value}},
		{"share", share},
		{"window", Cell{Text: window(c.Window) + " · " + Scope(c.Scope)}},
		{"from", Cell{Text: Moment(c.WindowStart)}},
		{"to", Cell{Text: Moment(c.WindowEnd)}},
	}, color)
}

// History draws how a topic's count developed.
func History(h *api.History, width int, color bool) []string {
	values := make([]uint64, len(h.Trend))
	total, largest := uint64(0), uint64(0)
	exact := true
	for i, p := range h.Trend {
		values[i] = p.Estimate
		total += p.Estimate
		largest = max(largest, p.Estimate)
		exact = exact && p.Lower == p.Upper
	}
	title := fmt.Sprintf("%s · %s by %s · %s · %s events", Clean(h.Topic), window(h.Window), h.Granularity, Scope(h.Scope), Number(total))
	lines := []string{Bold.Paint(Shorten(title, width), color)}
	if len(values) == 0 {
		return lines
	}
	room := len(values)
	if width > 0 {
		room = width
	}
	lines = append(lines, Accent.Paint(Sparkline(Squeeze(values, room)), color))
	t := &Table{Columns: []Column{{Title: "from"}, {Title: "count", Right: true}}}
	if !exact {
		t.Columns = append(t.Columns, Column{Title: "between", Right: true})
	}
	t.Columns = append(t.Columns, Column{})
	layout := pointLayout(h.Trend)
	for _, p := range h.Trend {
		row := []Cell{{Text: p.Timestamp.UTC().Format(layout)}, {Text: Number(p.Estimate)}}
		if !exact {
			row = append(row, Cell{between(p.Bounds), Dim})
		}
		t.Rows = append(t.Rows, append(row, Cell{Bar(p.Estimate, largest, barWidth), Accent}))
	}
	return append(lines, t.Lines(width, color)...)
}

// pointLayout shows what differs between the points of a history.
func pointLayout(points []api.Point) string {
	first, last := points[0].Timestamp, points[len(points)-1].Timestamp
	switch {
	case last.Sub(first) < 20*time.Hour && first.UTC().Day() == last.UTC().Day():
		return "15:04:05"
	default:
		return "2006-01-02 15:04:05"
	}
}
