package window

import (
	"slices"
	"sort"

	"github.com/crestdb/crest/messages"
)

// timeline is the kept slices, ascending, none overlapping; stretches in which
// nothing was counted have none. It ends with the open slice, the one that
// contains the clock.
//
// Where a slice of tier i may exist by age, a slot, whatever was counted in it
// leaves every window as one: no window that begins so far back begins inside
// a slot. So the slices of a slot can be merged when there is time, and a late
// count may go to any of them.
type timeline struct {
	slices []*slice
	open   messages.Micros // start of the open slice
	spare  []uint64        // a buffer for the late entries of the next slice
	most   int             // entries that it may have
	tight  bool            // memory is bounded
	// versions is the last one given to a list.
	versions uint64
}

// slot is the longest slice that the moment m may lie in by its age; kept:
// there is one.
func (l *timeline) slot(m messages.Micros) (i Interval, kept bool) {
	if m+tiers[0].Keep >= l.open { // mostly
		return Interval{m.Floor(tiers[0].Grid), m.Floor(tiers[0].Grid) + tiers[0].Grid}, true
	}
	for t := lastTier; t > 0; t-- {
		i := tiers[t].slot(m)
		if i.End+tiers[t-1].Keep <= l.open {
			return i, t < lastTier || i.End > l.horizon()
		}
	}
	return tiers[0].slot(m), true
}

func (t *tier) slot(m messages.Micros) Interval {
	start := m.Floor(t.Grid)
	return Interval{start, start + t.Grid}
}

// horizon: slots that end there or before are kept no longer.
func (l *timeline) horizon() messages.Micros { return l.open - tiers[lastTier].Keep }

// at is the slice for counts of the moment m, made if there is none; nil if m
// is too old to be kept.
func (l *timeline) at(m messages.Micros) *slice {
	slot, kept := l.slot(m)
	if !kept {
		return nil
	}
	n := len(l.slices)
	i := n
	if n > 0 && l.slices[n-1].start >= slot.Start {
		i = l.search(slot.Start)
		if s := l.slices[i]; s.start < slot.End {
			return s
		}
	}
	s := &slice{start: slot.Start}
	if n > 0 && 4*len(l.slices[n-1].late) > cap(l.spare) {
		s.late, l.spare = l.spare, nil
	}
	l.slices = slices.Insert(l.slices, i, s)
	return s
}

// recycle keeps the greater of two buffers for a slice to come that will get
// about as many entries as the one before.
func (l *timeline) recycle(late []uint64) {
	if cap(late) > cap(l.spare) && cap(late) <= l.most {
		l.spare = late[:0]
	}
}

// newVersion is one that no list of the timeline has had.
func (l *timeline) newVersion() uint64 {
	l.versions++
	return l.versions
}

// close makes the open slice as small as it is: no more than late counts are
// still to come.
func (l *timeline) close(by *sorter) {
	if len(l.slices) == 0 {
		return
	}
	s := l.slices[len(l.slices)-1]
	s.settle(by)
	if cap(s.late) > len(s.late)+len(s.late)/4 {
		late := append(make([]uint64, 0, len(s.late)), s.late...)
		if s.sharedLate == 0 {
			l.recycle(s.late)
		}
		s.late, s.sharedLate = late, 0
	}
}

// search is where the slices that begin at m or later begin.
func (l *timeline) search(m messages.Micros) int {
	return sort.Search(len(l.slices), func(i int) bool { return l.slices[i].start >= m })
}

// reaches is the index of the slice that holds the moment m, or of a neighbour.
func (l *timeline) reaches(m messages.Micros) uint32 {
	return uint32(max(0, l.search(m+1)-1))
}

// between are the slices of [start, end). Both must be on the grid of their
// age.
func (l *timeline) between(start, end messages.Micros) []*slice {
	if start >= end {
		return nil
	}
	i := l.search(start)
	return l.slices[i : i+sort.Search(len(l.slices)-i, func(j int) bool { return l.slices[i+j].start >= end })]
}

// drop forgets what is kept no longer and returns it.
func (l *timeline) drop() (dropped []*slice) {
	n := 0
	for n < len(l.slices) && tiers[lastTier].slot(l.slices[n].start).End <= l.horizon() {
		n++
	}
	if n > 0 {
		dropped = slices.Clone(l.slices[:n])
		l.slices = slices.Delete(l.slices, 0, n)
	}
	return dropped
}
