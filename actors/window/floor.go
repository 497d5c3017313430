package window

import "github.com/crestdb/crest/messages"

// floor bounds what any key of one kind without a row can have: of T rows, or
// of TR rows of one region.
//
// A key loses its row at a moment; what it may have had then in a window, all
// told, is noted with that moment. From then on nothing is added to it without
// making it a row again, and slices only leave windows, so the bound holds for
// what is not in a row until the key next loses one, and then another is noted.
// Once the window begins behind the moment nothing of it is left. So the
// greatest of the bounds not yet outrun is one for every key without a row, and
// for what a key with a row had before it.
//
// The bounds are of a window that begins where the earliest question allowed
// (Margin before the clock) would have it begin.
type floor struct {
	recent [allWindow]moments
	all    uint64
	// What the floor was before the keys at hand were hidden, and what is to be
	// noted of them (see hiding).
	before, most [windows]uint64
	batch        uint32
}

// moments are bounds with their times, newest last. A bound that a later one
// reaches is of no use any more, so they fall.
type moments []moment

type moment struct {
	at    messages.Micros // on the window's grid
	bound uint64
}

// note enters a bound at the open slice.
func (m *moments) note(at messages.Micros, bound uint64) {
	s := *m
	for len(s) > 0 && s[len(s)-1].bound <= bound {
		s = s[:len(s)-1]
	}
	if n := len(s); n == 0 || s[n-1].at != at {
		s = append(s, moment{at, bound})
	} // else an earlier bound of the same grid step is greater
	*m = s
}

// greatest is the greatest bound of moments that a window may still reach
// that begins at start, which is on its grid.
func (m moments) greatest(start messages.Micros) uint64 {
	for _, x := range m {
		if x.at >= start {
			return x.bound
		}
	}
	return 0
}

// latest is the bound noted at the newest step, if that is at.
func (m moments) latest(at messages.Micros) uint64 {
	if n := len(m); n > 0 && m[n-1].at == at {
		return m[n-1].bound
	}
	return 0
}

// forget drops what no window reaches any more.
func (m *moments) forget(start messages.Micros) {
	n := 0
	for n < len(*m) && (*m)[n].at < start {
		n++
	}
	if n > 0 {
		*m = append((*m)[:0], (*m)[n:]...)
	}
}
