package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is a title, a head and rows of text. Words stand to the left, numbers
// to the right.
type Table struct {
	Title string
	Head  []string
	rows  [][]string
}

// Add appends a row; cells beyond the head are a mistake of the caller.
func (t *Table) Add(cells ...string) {
	if len(cells) != len(t.Head) {
		panic(fmt.Sprintf("bench: %d cells under %d heads", len(cells), len(t.Head)))
	}
	t.rows = append(t.rows, cells)
}

// WriteTo writes the table with its columns aligned.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	widths := make([]int, len(t.Head))
	numbers := make([]bool, len(t.Head))
	for i := range t.Head {
		numbers[i] = len(t.rows) > 0
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			numbers[i] = numbers[i] && isNumber(row[i])
		}
		widths[i] = max(widths[i], utf8.RuneCountInString(t.Head[i]))
	}
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + "\n")
	}
	rules := make([]string, len(widths))
	for i, width := range widths {
		rules[i] = strings.Repeat("-", width)
	}
	for _, row := range slices.Concat([][]string{t.Head, rules}, t.rows) {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if numbers[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			line += cell + "  "
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	n, err := io.WriteString(w, b.String()+"\n")
	return int64(n), err
}

// isNumber tells whether a cell stands to the right: a number, or a dash or
// nothing in its place.
func isNumber(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	return cell == "" || strings.ContainsRune("0123456789-–", first)
}

// Spread is the median of repeated measurements, and the least and the
// greatest of them.
type Spread struct{ Least, Median, Greatest float64 }

// SpreadOf is the spread of at least one measurement.
func SpreadOf(values []float64) Spread {
	s := slices.Sorted(slices.Values(values))
	middle := s[len(s)/2]
	if len(s)%2 == 0 {
		middle = (middle + s[len(s)/2-1]) / 2
	}
	return Spread{s[0], middle, s[len(s)-1]}
}

// Cells are the median and "least–greatest" in three significant digits or
// whole numbers.
func (s Spread) Cells() (median, span string) {
	return Number(s.Median), Number(s.Least) + "–" + Number(s.Greatest)
}

// Number writes a measurement: three significant digits, thousands grouped.
func Number(v float64) string {
	if math.Abs(v) < 100 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
