package messages

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is the length of a sliding window; 0 is "all".
type Window Micros

// The standard windows, ascending; every row keeps a running total for each.
const (
	Window5m  = Window(5 * Minute)
	Window10m = Window(10 * Minute)
	Window1h  = Window(Hour)
	Window24h = Window(24 * Hour)
	Window7d  = Window(7 * Day)
	Window30d = Window(30 * Day)
	WindowAll = Window(0)
)

// StandardWindows lists the standard windows, ascending, "all" last.
var StandardWindows = [...]Window{Window5m, Window10m, Window1h, Window24h, Window7d, Window30d, WindowAll}

// ParseWindow reads "5m", "37m", "1h30m", "24h", "7d", "30d", "all": any
// length from 10s to 30d.
func ParseWindow(s string) (Window, error) {
	if s == "all" {
		return WindowAll, nil
	}
	d, err := ParseLength(s)
	if err != nil {
		return 0, fmt.Errorf("window %q: want a duration from 10s to 30d, such as 5m, 1h or 7d, or all", s)
	}
	if d < 10*Second || d > 30*Day || d%Second != 0 {
		return 0, fmt.Errorf("window %q: want whole seconds from 10s to 30d, or all", s)
	}
	return Window(d), nil
}

// maxLength bounds what ParseLength reads: a length fits into a time.Duration,
// and adding a few of them to a moment does not overflow.
const maxLength = 100_000 * Day

// ParseLength reads a positive length of time in Go's notation, with d for
// days in front ("7d", "1d12h", "90m"): whole microseconds, up to 100,000 days.
func ParseLength(s string) (Micros, error) {
	rest, days := s, uint64(0)
	if i := strings.IndexByte(s, 'd'); i > 0 {
		n, err := strconv.ParseUint(s[:i], 10, 32)
		if err != nil || n > uint64(maxLength/Day) {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		days, rest = n, s[i+1:]
	}
	var d time.Duration
	if rest != "" || days == 0 {
		var err error
		if d, err = time.ParseDuration(rest); err != nil || d < 0 || d%time.Microsecond != 0 {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
	}
	m := Micros(days)*Day + Micros(d/time.Microsecond)
	if m <= 0 || m > maxLength {
		return 0, fmt.Errorf("%q is not a duration between 0 and 100000d", s)
	}
	return m, nil
}

// FormatLength is the shortest notation that ParseLength reads back: "5m",
// "24h", "7d", "1h30m".
func FormatLength(m Micros) string {
	if m%Day == 0 && m > Day {
		return strconv.FormatInt(int64(m/Day), 10) + "d"
	}
	s := m.Duration().String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// String is the window's name: "5m", "37m", "7d", "all".
func (w Window) String() string {
	if w == WindowAll {
		return "all"
	}
	return FormatLength(Micros(w))
}

// Cell is what is ranked and counted: a category or any, and a region or any.
type Cell struct {
	Category string // "": any
	Region   string // "": any
}

// OtherName is the category or region that values past the bound count in.
const OtherName = "other"
