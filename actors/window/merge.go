package window

import (
	"slices"

	"github.com/crestdb/crest/messages"
)

// merge rewrites slices' lists: those of a slot into one, and late counts into
// the list of their slice. It goes in portions, one page at a time; until it is
// done the old slices stand, so nothing else has to know of it.
type merge struct {
	// credit is the entries that may be read: it grows with what is counted,
	// so that merging keeps up, and with time.
	credit int
	// due: something may be to do that the last look did not see.
	due bool

	sources []*slice        // being merged, neighbours in the timeline; none: idle
	start   messages.Micros // of the slice they will be
	walks   []stream
	pages   []uint32 // of the walks' next blocks; noPage: there is none
	build   builder
	sum     pageSum
	block   block
}

const (
	// An entry is read at most once per tier, once more out of late; a delta's
	// row makes two entries, sometimes four.
	creditPerRow   = 32
	creditPerSlide = 4096
	// lateFew late counts are not worth a list; lateShare: nor is less than
	// this part of the list they would be merged into.
	lateFew   = 16
	lateShare = 8
	// deadFew bytes of removed entries are not worth a new list; deadShare: nor
	// is less than this part of it.
	deadFew   = 256
	deadShare = 4
	// fresh is how long late counts of a slice are expected to come in.
	fresh = 3 * messages.SliceLength
)

// work spends the credit.
func (t *Table) work() {
	m := &t.merge
	for m.credit > 0 {
		if len(m.sources) == 0 && !t.nextMerge() {
			m.credit = 0
			return
		}
		if m.step() {
			t.finishMerge()
		}
	}
}

// nextMerge looks for something to merge, oldest first.
func (t *Table) nextMerge() bool {
	if !t.merge.due {
		return false
	}
	l := &t.line
	for i := 0; i < len(l.slices); {
		slot, _ := l.slot(l.slices[i].start)
		j := i + 1
		for j < len(l.slices) && l.slices[j].start < slot.End {
			j++
		}
		if s := l.slices[i]; j > i+1 || (l.tight || s.start+fresh < l.open) && s.start < l.open && len(s.late) > lateFew && len(s.late) > s.list.n/lateShare || s.list.dead > deadFew && s.list.dead > len(s.list.data)/deadShare {
			t.merge.begin(slot.Start, l.slices[i:j], &t.scratch.sorter)
			return true
		}
		i = j
	}
	t.merge.due = false
	return false
}

func (m *merge) begin(start messages.Micros, sources []*slice, by *sorter) {
	m.start = start
	m.sources = append(m.sources[:0], sources...)
	m.walks = m.walks[:0]
	for _, s := range m.sources {
		s.settle(by)
		s.frozen, s.late, s.sorted = s.late, nil, 0
		s.sharedFrozen, s.sharedLate = s.sharedLate > 0, 0
		m.walks = s.streams(m.walks, by)
	}
	m.pages = slices.Grow(m.pages[:0], len(m.walks))[:len(m.walks)]
	for i := range m.walks {
		m.advance(i)
	}
}

// noPage is behind every page.
const noPage = ^uint32(0)

// advance notes where a walk stands.
func (m *merge) advance(i int) {
	page, more := m.walks[i].page()
	if !more {
		page = noPage
	}
	m.pages[i] = page
}

// step merges until the credit is spent; true: the list is complete.
func (m *merge) step() (complete bool) {
	for m.credit > 0 {
		next, walk, with := noPage, 0, 0 // the next page, a walk that has it, how many have it
		for i, page := range m.pages {
			switch {
			case page < next:
				next, walk, with = page, i, 1
			case page == next:
				with++
			}
		}
		if next == noPage {
			return true
		}
		m.credit -= len(m.walks)
		if with == 1 && m.copyBlock(walk) {
			continue
		}
		for i := range m.walks {
			for m.pages[i] == next {
				m.walks[i].read(&m.block)
				m.sumBlock()
				m.advance(i)
			}
		}
		m.build.add(next, &m.sum)
		m.sum.reset()
	}
	return false
}

// copyBlock takes over the next block of a walk that alone has its page, as most
// have where rows are many and counts few. If it has to be added up first, it is
// left in the sum.
func (m *merge) copyBlock(walk int) bool {
	page := m.pages[walk]
	m.walks[walk].read(&m.block)
	if m.advance(walk); m.pages[walk] != page && m.build.addBlock(&m.block) {
		m.credit -= m.block.n
		return true
	}
	m.sumBlock()
	return false
}

// sumBlock adds the block at hand up with those of its page before.
func (m *merge) sumBlock() {
	m.credit -= m.block.n
	for i := range m.block.n {
		m.sum.add(m.block.place[i], m.block.count[i])
	}
}

// finishMerge puts the merged slice in its sources' place.
func (t *Table) finishMerge() {
	m, l := &t.merge, &t.line
	merged := &slice{start: m.start, list: m.build.finish()}
	for _, s := range m.sources {
		merged.total = addSaturating(merged.total, s.total)
		merged.late = append(merged.late, s.late...)
		t.hidden.merge(merged, s)
		if !s.sharedFrozen {
			l.recycle(s.frozen)
		}
	}
	if merged.list.n > 0 {
		merged.list.version = l.newVersion()
	}
	i := l.search(m.sources[0].start)
	l.slices = slices.Replace(l.slices, i, i+len(m.sources), merged)
	m.reset()
}

// cancelDropped gives the merge up if its sources are kept no longer: they are
// of one slot, so all of them or none.
func (t *Table) cancelDropped() {
	m, l := &t.merge, &t.line
	if len(m.sources) > 0 && (len(l.slices) == 0 || l.slices[0].start > m.sources[0].start) {
		m.build.finish()
		m.reset()
	}
}

func (m *merge) reset() {
	clear(m.sources)
	clear(m.walks)
	m.sources, m.walks = m.sources[:0], m.walks[:0]
}
