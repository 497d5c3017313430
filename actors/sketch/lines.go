package sketch

import "math"

// Lines is several count-min sketches that count the same keys, each its own
// part of what they occur: Narrow of some width, and one of four times that. The
// counters of one position are one cache line, so that counting in all of them,
// and reading all, touches d lines.
//
// Each is a count-min as CountMin's slots are, with ε = e/w (e/4w), δ = e^-d, and
// conservative updates. The wide one has four counters in each line; which of them
// is a key's follows from bits of the row's hash that the position does not depend
// on, so it is a sketch of 4w columns like any other.
type Lines struct {
	width, depth int
	// blocks are the lines, row*w + column, lineBlock in each but the last: what is
	// copied at a time (see freeze.go).
	blocks [][][lanes]uint32
	shared []bool // blocks that a frozen copy reads too; nil: there is none
}

const (
	lineShift = 10 // 64 KiB
	lineBlock = 1 << lineShift
)

const (
	// Narrow is how many sketches of the plain width there are.
	Narrow = 12
	// WideShare is how many times as wide the other one is.
	WideShare = lanes - Narrow
)

// Readings are counts, or readings, of one key: of the narrow sketches and of the
// wide one. math.MaxUint64 where all counters of the key have stopped.
type Readings struct {
	Narrow [Narrow]uint64
	Wide   uint64
}

// NewLines makes empty sketches.
func NewLines(width, depth int) *Lines {
	return &Lines{width: width, depth: depth, blocks: blocksOf(make([][lanes]uint32, width*depth), lineBlock)}
}

// spot is where a key is counted in one row.
type spot struct {
	line *[lanes]uint32
	wide uint8 // lane of the wide sketch
}

func (s *Lines) spots(rows *Rows, to *[maxDepth]spot) []spot {
	for i := range s.depth {
		h := rows[i]
		k := i*s.width + reduce(h, s.width)
		to[i] = spot{&s.blocks[k>>lineShift][k%lineBlock], Narrow + uint8(h%WideShare)}
	}
	return to[:s.depth]
}

// AddRows counts a key, given by its hashes, as often as n says, and sets read to
// what it reads then.
func (s *Lines) AddRows(rows *Rows, n, read *Readings) {
	if s.shared != nil {
		s.own(rows)
	}
	var where [maxDepth]spot
	spots := s.spots(rows, &where)
	low := s.least(spots)
	for l, m := range n.Narrow {
		if m > 0 {
			low[l] = addSaturating(low[l], m)
			for i := range spots {
				c := &spots[i].line[l]
				*c = max(*c, low[l])
			}
		}
	}
	low[Narrow] = addSaturating(low[Narrow], n.Wide)
	for i := range spots {
		c := &spots[i].line[spots[i].wide%lanes]
		*c = max(*c, low[Narrow])
	}
	read.set(&low)
}

// Read sets read to what a key reads: at least what was counted.
func (s *Lines) Read(k Key, read *Readings) {
	var rows Rows
	k.Rows(s.depth, &rows)
	var where [maxDepth]spot
	low := s.least(s.spots(&rows, &where))
	read.set(&low)
}

// least is the readings: those of the narrow sketches, then that of the wide one.
// As many as fit into registers are found at a time: with all of them in one loop
// over an array it takes three times as long.
func (s *Lines) least(spots []spot) (low [Narrow + 1]uint32) {
	least4(spots, 0, (*[4]uint32)(low[0:]))
	least4(spots, 4, (*[4]uint32)(low[4:]))
	least4(spots, 8, (*[4]uint32)(low[8:]))
	wide := uint32(saturation)
	for i := range spots {
		wide = min(wide, spots[i].line[spots[i].wide%lanes])
	}
	low[Narrow] = wide
	return low
}

func least4(spots []spot, from int, low *[4]uint32) {
	a, b, c, d := uint32(saturation), uint32(saturation), uint32(saturation), uint32(saturation)
	for i := range spots {
		four := (*[4]uint32)(spots[i].line[from:])
		a, b, c, d = min(a, four[0]), min(b, four[1]), min(c, four[2]), min(d, four[3])
	}
	*low = [4]uint32{a, b, c, d}
}

func (r *Readings) set(low *[Narrow + 1]uint32) {
	for l := range r.Narrow {
		r.Narrow[l] = unlessSaturated(low[l])
	}
	r.Wide = unlessSaturated(low[Narrow])
}

func unlessSaturated(n uint32) uint64 {
	if n == saturation {
		return math.MaxUint64
	}
	return uint64(n)
}

// Clear empties a narrow sketch.
func (s *Lines) Clear(narrow int) {
	for b := range s.blocks {
		s.ownBlock(b)
		for i := range s.blocks[b] {
			s.blocks[b][i][narrow] = 0
		}
	}
}

// Bytes is the memory of all sketches.
func (s *Lines) Bytes() int64 { return int64(s.width*s.depth) * lanes * counterBytes }
