package screen

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Style is how a text looks on a terminal that can do more than text.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "\x1b[1m"
	Dim    Style = "\x1b[2m"
	Red    Style = "\x1b[31m"
	Green  Style = "\x1b[32m"
	Yellow Style = "\x1b[33m"
	Accent Style = "\x1b[36m"

	reset = "\x1b[0m"
)

// Paint puts a style around text that is already clean.
func (s Style) Paint(text string, color bool) string {
	if s == Plain || !color || text == "" {
		return text
	}
	return string(s) + text + reset
}

// Clean replaces what would do something to a terminal instead of being shown:
// control characters and invisible ones that turn the direction of text.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, s)
}

// Width is the number of columns a text takes.
func Width(s string) int { return uniseg.StringWidth(s) }

// Fit is the text in exactly width columns: padded on the left if right is
// set, else on the right, or cut off with an ellipsis.
func Fit(s string, width int, right bool) string {
	w := Width(s)
	if w > width {
		s = cut(s, width-1)
		if width > 0 {
			s += "…"
		}
		w = Width(s)
	}
	pad := strings.Repeat(" ", max(0, width-w))
	if right {
		return pad + s
	}
	return s + pad
}

// cut is as much of the text as fits, without tearing characters apart.
func cut(s string, width int) string {
	end, state := 0, -1
	for rest := s; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if width -= w; width < 0 {
			break
		}
		end += len(cluster)
	}
	return s[:end]
}

// Number is a number with separators: 1,823,947.
func Number(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Signed is a difference of two numbers: +1,234, -5, or nothing for 0.
func Signed(from, to uint64) string {
	switch {
	case to > from:
		return "+" + Number(to-from)
	case to < from:
		return "-" + Number(from-to)
	}
	return ""
}

// Percent is a share in percent: 24.8%.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return "0.0%"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + "%"
}

// Bytes is an amount of memory or disk: 1.5 GiB.
func Bytes(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	if unit == "B" {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
}
