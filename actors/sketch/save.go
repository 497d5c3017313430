package sketch

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
)

// Sketches and filters are saved as blocks of bytes: a head, then their counters,
// 64 bytes of memory after the other, blockLines of them in a block. A line takes
// two bytes and what is in it, so what is read allocates at most 32 times its
// size. The bytes: actors/window/FORMAT.md.

// blockLines is how many lines of 64 bytes a block has at most: as many as are
// copied at a time.
const blockLines = lineBlock

var errSaved = errors.New("sketch: not what was saved")

// Put takes a block, whose bytes are its own only until it returns.
type Put func(block []byte) error

// Get gives the next block; its bytes are valid until the next call.
type Get func() ([]byte, error)

// Size is the width and the depth of a sketch.
func (c *CountMin) Size() (width, depth int) { return c.width, c.depth }

// Used tells whether a slot is in use.
func (c *CountMin) Used(slot int) bool {
	return slot >= 0 && slot/lanes < len(c.groups) && c.groups[slot/lanes].used&(1<<(slot%lanes)) != 0
}

// InUse is how many slots are in use.
func (c *CountMin) InUse() (n int) {
	for i := range c.groups {
		n += bits.OnesCount16(c.groups[i].used)
	}
	return n
}

// Save writes the slots in use.
func (c *CountMin) Save(put Put) error {
	b := appendSize(nil, c.width, c.depth)
	b = binary.AppendUvarint(b, uint64(len(c.groups)))
	for i := range c.groups {
		b = binary.LittleEndian.AppendUint16(b, c.groups[i].used)
	}
	if err := put(b); err != nil {
		return err
	}
	for i := range c.groups {
		n := len(c.groups[i].counters) / lanes
		line := func(k int) *[lanes]uint32 { return (*[lanes]uint32)(c.groups[i].counters[k*lanes:]) }
		if err := saveLines(n, line, put); err != nil {
			return err
		}
	}
	return nil
}

// maxGroups bounds how many groups are read.
const maxGroups = 1 << 12

// ReadCountMin reads what Save has written.
func ReadCountMin(get Get) (*CountMin, error) {
	b, err := get()
	if err != nil {
		return nil, err
	}
	c := new(CountMin)
	if c.width, c.depth, b, err = readSize(b); err != nil {
		return nil, err
	}
	n, k := binary.Uvarint(b)
	if k <= 0 || n > maxGroups || len(b) != k+2*int(n) {
		return nil, errSaved
	}
	c.groups = make([]group, n)
	for i := range c.groups {
		c.groups[i].used = binary.LittleEndian.Uint16(b[k+2*i:])
	}
	for i := range c.groups {
		g := &c.groups[i]
		if g.used == 0 {
			continue
		}
		err := readLines(c.width*c.depth, get, func(line *[lanes]uint32) error {
			for l, v := range line {
				if v != 0 && g.used&(1<<l) == 0 {
					return errSaved
				}
			}
			g.counters = append(g.counters, line[:]...)
			return nil
		})
		if err != nil {
			return nil, err
		}
		g.counters = slices.Clip(g.counters)
	}
	return c, nil
}

// Width is that of the narrow sketches.
func (s *Lines) Width() int { return s.width }

// Depth is the number of rows.
func (s *Lines) Depth() int { return s.depth }

// Save writes the sketches.
func (s *Lines) Save(put Put) error {
	if err := put(appendSize(nil, s.width, s.depth)); err != nil {
		return err
	}
	return saveLines(s.width*s.depth, func(i int) *[lanes]uint32 { return &s.blocks[i>>lineShift][i%lineBlock] }, put)
}

// ReadLines reads what Save has written.
func ReadLines(get Get) (*Lines, error) {
	b, err := get()
	if err != nil {
		return nil, err
	}
	s := new(Lines)
	if s.width, s.depth, b, err = readSize(b); err != nil || len(b) > 0 {
		return nil, errors.Join(err, errSaved)
	}
	n := 0
	err = readLines(s.width*s.depth, get, func(line *[lanes]uint32) error {
		if n%lineBlock == 0 {
			s.blocks = append(s.blocks, make([][lanes]uint32, min(lineBlock, s.width*s.depth-n)))
		}
		s.blocks[n>>lineShift][n%lineBlock] = *line
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func appendSize(b []byte, width, depth int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(width)), uint64(depth))
}

func readSize(b []byte) (width, depth int, rest []byte, err error) {
	w, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, errSaved
	}
	d, m := binary.Uvarint(b[n:])
	if m <= 0 || w < 1 || w > math.MaxInt32 || d < 1 || d > maxDepth {
		return 0, 0, nil, errSaved
	}
	return int(w), int(d), b[n+m:], nil
}

// saveLines writes n lines: of each, which counters are not 0, and those.
func saveLines(n int, line func(i int) *[lanes]uint32, put Put) error {
	b := make([]byte, 0, blockLines*(2+lanes*2))
	for i := range n {
		at, mask := len(b), uint16(0)
		b = append(b, 0, 0)
		for l, v := range line(i) {
			if v != 0 {
				mask |= 1 << l
				b = binary.AppendUvarint(b, uint64(v))
			}
		}
		binary.LittleEndian.PutUint16(b[at:], mask)
		if (i+1)%blockLines == 0 || i == n-1 {
			if err := put(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return nil
}

// readLines reads n lines.
func readLines(n int, get Get, add func(line *[lanes]uint32) error) error {
	var b []byte
	for i := range n {
		if i%blockLines == 0 {
			var err error
			if len(b) > 0 {
				return errSaved
			}
			if b, err = get(); err != nil {
				return err
			}
		}
		if len(b) < 2 {
			return errSaved
		}
		mask := binary.LittleEndian.Uint16(b)
		b = b[2:]
		var line [lanes]uint32
		for ; mask != 0; mask &= mask - 1 {
			v, k := binary.Uvarint(b)
			if k <= 0 || v == 0 || v > math.MaxUint32 {
				return errSaved
			}
			line[bits.TrailingZeros16(mask)] = uint32(v)
			b = b[k:]
		}
		if err := add(&line); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return errSaved
	}
	return nil
}

// Save writes both generations: of each 8 words which are not 0, and those.
func (f *Filter) Save(put Put) error {
	b := binary.AppendUvarint(nil, uint64(len(f.newer)))
	b = binary.AppendVarint(b, f.start)
	if f.begun {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if err := put(b); err != nil {
		return err
	}
	for _, generation := range [...][]uint64{f.newer, f.older} {
		for words := range slices.Chunk(generation, 8*blockLines) {
			if err := put(appendWords(b[:0], words)); err != nil {
				return err
			}
		}
	}
	return nil
}

func appendWords(b []byte, words []uint64) []byte {
	for len(words) > 0 {
		n := min(8, len(words))
		at := len(b)
		b = append(b, 0)
		for i, word := range words[:n] {
			if word != 0 {
				b[at] |= 1 << i
				b = binary.LittleEndian.AppendUint64(b, word)
			}
		}
		words = words[n:]
	}
	return b
}

// ReadFilter reads what Save has written.
func ReadFilter(minSpan int64, get Get) (*Filter, error) {
	b, err := get()
	if err != nil {
		return nil, err
	}
	words, n := binary.Uvarint(b)
	if n <= 0 || words < 1 || words > math.MaxInt32 {
		return nil, errSaved
	}
	start, m := binary.Varint(b[n:])
	if m <= 0 || len(b) != n+m+1 || b[n+m] > 1 {
		return nil, errSaved
	}
	f := &Filter{minSpan: minSpan, start: start, begun: b[n+m] == 1}
	for _, to := range [...]*[]uint64{&f.newer, &f.older} {
		for len(*to) < int(words) {
			if b, err = get(); err != nil {
				return nil, err
			}
			if *to, err = readWords(*to, b, min(int(words)-len(*to), 8*blockLines)); err != nil {
				return nil, err
			}
		}
		*to = slices.Clip(*to)
	}
	return f, nil
}

// readWords appends n words.
func readWords(to []uint64, b []byte, n int) ([]uint64, error) {
	for i := 0; i < n; i += 8 {
		if len(b) == 0 {
			return nil, errSaved
		}
		mask := b[0]
		b = b[1:]
		for k := range min(8, n-i) {
			word := uint64(0)
			if mask&(1<<k) != 0 {
				if len(b) < 8 {
					return nil, errSaved
				}
				word, b = binary.LittleEndian.Uint64(b), b[8:]
			}
			to = append(to, word)
		}
		if n-i < 8 && mask>>(n-i) != 0 {
			return nil, errSaved
		}
	}
	if len(b) > 0 {
		return nil, errSaved
	}
	return to, nil
}
