package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// barWidth is the length of a share of 100 %.
const barWidth = 20

// Board draws a board once.
func Board(b *api.Board, width int, color bool) []string {
	t := &Table{Columns: []Column{{Title: "#", Right: true}, {Title: "topic", Min: 8}, {Title: "count", Right: true}}}
	bounds := !rowsExact(b.Topics)
	if bounds {
		t.Columns = append(t.Columns, Column{Title: "between", Right: true})
	}
	t.Columns = append(t.Columns, Column{Title: "share", Right: true}, Column{})
	for i := range b.Topics {
		r := &b.Topics[i]
		row := []Cell{{Text: strconv.Itoa(r.Rank)}, {r.Topic, Bold}, {Text: Number(r.Estimate)}}
		if bounds {
			row = append(row, Cell{between(r.Bounds), Dim})
		}
		t.Rows = append(t.Rows, append(row, Cell{Text: Percent(r.Estimate, b.Estimate)}, Cell{Bar(r.Estimate, b.Estimate, barWidth), Accent}))
	}
	lines := append([]string{heading(b, width, color)}, t.Lines(width, color)...)
	if len(b.Topics) == 0 {
		return append(lines[:1], "nothing was counted here yet")
	}
	if !b.Exact {
		lines = append(lines, Dim.Paint(certainty(b), color))
	}
	return lines
}

// heading says what a board is about.
func heading(b *api.Board, width int, color bool) string {
	parts := []string{
		"top " + strconv.Itoa(b.Top),
		window(b.Window),
		Scope(b.Scope),
		"as of " + Moment(b.AsOf),
		Number(b.Estimate) + " events",
	}
	return Bold.Paint(Shorten(strings.Join(parts, " · "), width), color)
}

// window says what a window's name means.
func window(name string) string {
	if name == "all" {
		return "since the beginning"
	}
	return "last " + name
}

// Scope names a cell.
func Scope(s api.Scope) string {
	name := func(v *string, any string) string {
		if v == nil {
			return any
		}
		return Clean(*v)
	}
	if s.Category == nil && s.Region == nil {
		return "everything"
	}
	return name(s.Category, "any category") + " in " + name(s.Region, "any region")
}

// Moment is a time of day, with its day where that is not clear.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// certainty says what is known of a board that is not exact.
func certainty(b *api.Board) string {
	switch n := len(b.Topics); {
	case b.Certified == n:
		return "these are the true top " + strconv.Itoa(n) + "; counts lie between the bounds"
	case b.Certified > 0:
		return fmt.Sprintf("the first %d are the true top %d; counts lie between the bounds", b.Certified, b.Certified)
	}
	return "the order is not certain; counts lie between the bounds"
}

func rowsExact(rows []api.BoardRow) bool {
	for i := range rows {
		if rows[i].Lower != rows[i].Upper {
			return false
		}
	}
	return true
}

func between(b api.Bounds) string {
	if b.Lower == b.Upper {
		return "exact"
	}
	return Number(b.Lower) + " … " + Number(b.Upper)
}

// Shorten cuts a line that is too wide; 0 means any width.
func Shorten(s string, width int) string {
	if width > 0 && Width(s) > width {
		return Fit(s, width, false)
	}
	return s
}
