package screen

import (
	"math"
	"slices"
	"strings"
)

var (
	levels = []rune("▁▂▃▄▅▆▇█")
	eighth = []rune(" ▏▎▍▌▋▊▉")
)

// Sparkline draws values as heights, from 0 to the largest of them, one column
// each. Anything above 0 is seen to be.
func Sparkline(values []uint64) string {
	if len(values) == 0 {
		return ""
	}
	largest := slices.Max(values)
	var b strings.Builder
	for _, v := range values {
		level := 0
		if v > 0 && largest > 0 {
			level = max(1, int(math.Round(float64(v)/float64(largest)*float64(len(levels)-1))))
		}
		b.WriteRune(levels[level])
	}
	return b.String()
}

// Squeeze joins neighbours until there are at most n values, so that a long
// history fits.
func Squeeze(values []uint64, n int) []uint64 {
	if n < 1 || len(values) <= n {
		return values
	}
	per := (len(values) + n - 1) / n
	var out []uint64
	for part := range slices.Chunk(values, per) {
		sum := uint64(0)
		for _, v := range part {
			sum += v
		}
		out = append(out, sum)
	}
	return out
}

// Bar draws part of whole as a length of at most width columns, in eighths.
func Bar(part, whole uint64, width int) string {
	if whole == 0 {
		return ""
	}
	n := int(math.Round(min(1, float64(part)/float64(whole)) * float64(width) * 8))
	bar := strings.Repeat("█", n/8)
	if n%8 > 0 {
		bar += string(eighth[n%8])
	}
	return bar
}
