package bench

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestChartsAreWellFormed at the ends of their scales.
func TestChartsAreWellFormed(t *testing.T) {
	line := func(ys ...float64) Line {
		l := Line{Name: "a <line>"}
		for i, y := range ys {
			l.Points = append(l.Points, Point{float64(int(1024) << i), y})
		}
		return l
	}
	for _, log := range []bool{false, true} {
		for _, lines := range [][]Line{{}, {line()}, {line(0)}, {line(1)}, {line(0.2, 0.9, 1), line(1, 1, 1)}, {line(0, 1e9), line(3, 4, 5)}} {
			var b strings.Builder
			c := Chart{Title: "a & b", Y: "recall", Log: log, Lines: lines}
			if err := WriteCharts(&b, "memory", func(x float64) string { return Size(int64(x)) }, c, c); err != nil {
				t.Fatal(err)
			}
			d := xml.NewDecoder(strings.NewReader(b.String()))
			for {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%v: %v\n%s", lines, err, b.String())
				}
			}
			if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
				t.Errorf("%v: a place is not a number\n%s", lines, b.String())
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64MiB": 64 << 20, "3KiB": 3 << 10, "1GiB": 1 << 30, "1025": 1025} {
		if n, err := ParseSize(text); err != nil || n != want || Size(n) != text {
			t.Errorf("%s: %d, %v, %s", text, n, err, Size(n))
		}
	}
	for _, text := range []string{"", "0", "-1", "MiB", "1.5GiB", "64MB", fmt.Sprint(1<<62) + "KiB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}
