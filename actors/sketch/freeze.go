package sketch

import "slices"

// A frozen copy shares its counters with the sketch it was made of, which copies
// what it is about to change as long as the copy is held: a group of slots at a
// time, a block of lines, or a generation of a filter. So freezing costs nothing, and
// who reads the copy needs no lock. There is one frozen copy at a time.

// Freeze is a copy of c that stays as it is, until Thaw.
func (c *CountMin) Freeze() *CountMin {
	f := &CountMin{width: c.width, depth: c.depth, groups: slices.Clone(c.groups)}
	c.share(true)
	return f
}

// Thaw ends the copying for the sake of a frozen copy, which is not read any more.
func (c *CountMin) Thaw() { c.share(false) }

func (c *CountMin) share(shared bool) {
	for i := range c.groups {
		c.groups[i].shared = shared && c.groups[i].counters != nil
	}
}

// own is called before the counters of g are changed.
func (g *group) own() {
	if g.shared {
		g.copy()
	}
}

func (g *group) copy() { g.counters, g.shared = slices.Clone(g.counters), false }

// blocksOf cuts what is allocated in one piece.
func blocksOf[T any](all []T, size int) (blocks [][]T) {
	for b := range slices.Chunk(all, size) {
		blocks = append(blocks, b)
	}
	return blocks
}

// Freeze is a copy of s that stays as it is, until Thaw.
func (s *Lines) Freeze() *Lines {
	f := *s
	f.blocks, s.shared = slices.Clone(s.blocks), sharedAll(len(s.blocks))
	return &f
}

// Thaw ends the copying for the sake of a frozen copy, which is not read any more.
func (s *Lines) Thaw() { s.shared = nil }

// own is called before the lines of a key are changed.
func (s *Lines) own(rows *Rows) {
	for i, h := range rows[:s.depth] {
		s.ownBlock((i*s.width + reduce(h, s.width)) >> lineShift)
	}
}

// ownBlock is called before lines of a block are changed.
func (s *Lines) ownBlock(b int) {
	if s.shared != nil && s.shared[b] {
		s.blocks[b], s.shared[b] = slices.Clone(s.blocks[b]), false
	}
}

// Freeze is a copy of f that stays as it is, until Thaw. A generation is copied at
// once: its words in blocks would make every key dearer.
func (f *Filter) Freeze() *Filter {
	frozen := *f
	f.newerShared, f.olderShared = true, true
	return &frozen
}

// Thaw ends the copying for the sake of a frozen copy, which is not read any more.
func (f *Filter) Thaw() { f.newerShared, f.olderShared = false, false }

// own is called before bits of the newer generation are set.
func (f *Filter) own() {
	if f.newerShared {
		f.copy()
	}
}

func (f *Filter) copy() { f.newer, f.newerShared = slices.Clone(f.newer), false }

// empty empties the newer generation.
func (f *Filter) empty() {
	if f.newerShared {
		f.newer, f.newerShared = make([]uint64, len(f.newer)), false
		return
	}
	clear(f.newer)
}

func sharedAll(n int) []bool {
	shared := make([]bool, n)
	for i := range shared {
		shared[i] = true
	}
	return shared
}
