package screen

import "strings"

// Cell is one field of a table.
type Cell struct {
	Text  string
	Style Style
}

// Column is how a column is drawn.
type Column struct {
	Title string
	Right bool // aligned to the right
	Min   int  // the column may be cut down to this many columns; 0: it may not
}

// Table is rows under titles.
type Table struct {
	Columns []Column
	Rows    [][]Cell
}

// gap is the space between two columns.
const gap = "  "

// Lines draws the table in at most width columns (0: as many as it needs). What
// may be cut down is cut down first; then the last columns are left out.
func (t *Table) Lines(width int, color bool) []string {
	widths := t.fit(width)
	lines := make([]string, 0, len(t.Rows)+1)
	titles := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		titles[i] = Cell{c.Title, Dim}
	}
	lines = append(lines, t.line(titles, widths, color))
	for _, row := range t.Rows {
		lines = append(lines, t.line(row, widths, color))
	}
	return lines
}

func (t *Table) line(row []Cell, widths []int, color bool) string {
	var b strings.Builder
	for i, w := range widths {
		if i > 0 {
			b.WriteString(gap)
		}
		text := Fit(Clean(row[i].Text), w, t.Columns[i].Right)
		if i == len(widths)-1 {
			text = strings.TrimRight(text, " ")
		}
		b.WriteString(row[i].Style.Paint(text, color))
	}
	return strings.TrimRight(b.String(), " ")
}

// fit works out how wide each column is; fewer than there are if the last ones
// have no room.
func (t *Table) fit(width int) []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Width(c.Title)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], Width(Clean(row[i].Text)))
		}
	}
	if width <= 0 {
		return widths
	}
	for len(widths) > 0 {
		total := len(gap) * (len(widths) - 1)
		for _, w := range widths {
			total += w
		}
		for i := range widths {
			if m := t.Columns[i].Min; m > 0 && total > width && widths[i] > m {
				less := min(widths[i]-m, total-width)
				widths[i] -= less
				total -= less
			}
		}
		if total <= width {
			break
		}
		widths = widths[:len(widths)-1]
	}
	return widths
}
