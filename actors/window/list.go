package window

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

// list is the part of a slice that changes only when rows leave: (row, count) pairs ascending by row,
// one block per page of rows.
//
//	block = uvarint(page − page of the block before) uvarint(bytes of entries) entries
//	entry = uvarint(1 + ((place − place before − 1)<<1 | count is 1)) [uvarint(count)]
//
// A zero byte ends a block's entries before their bytes do: what remove left.
//
// The first page counts from 0, the first place of a block from −1. An entry
// mostly takes one byte or two. Blocks of other families' pages are skipped
// without being decoded, and every 32nd block is noted, so a row is found
// without walking the list.
type list struct {
	data  []byte
	marks []mark
	n     int // entries
	dead  int // bytes that removed entries left
	// version is another one with whatever changes in data; 0: of no entries.
	version uint64
}

// mark is where a block begins, and the page of the block before it.
type mark struct{ before, page, at uint32 }

const markEvery = 32

func (l *list) bytes() int64 { return int64(cap(l.data)) + int64(cap(l.marks))*12 }

// block is the entries of one page, decoded. A row may occur more than once in
// a block that was read from unsorted counts.
type block struct {
	page  uint32
	n     int
	place [pageRows]uint8
	count [pageRows]uint64
}

// builder makes a list from blocks of ascending pages.
type builder struct {
	list
	last   uint32 // page of the last block
	blocks int
	body   int // where the entries of the block at hand begin
}

// add appends the page's counts: those places whose bit is set.
func (b *builder) add(page uint32, s *pageSum) {
	if s.set == [pageRows / 64]uint64{} {
		return
	}
	b.begin(page)
	before := -1
	for w, word := range s.set {
		for ; word != 0; word &= word - 1 {
			place := w<<6 | bits.TrailingZeros64(word)
			b.data = appendEntry(b.data, place-before-1, s.count[place])
			before = place
			b.n++
		}
	}
	b.end()
}

// addBlock appends a block's counts, if they are of ascending places, each once.
func (b *builder) addBlock(from *block) bool {
	for i := 1; i < from.n; i++ {
		if from.place[i] <= from.place[i-1] {
			return false
		}
	}
	if from.n == 0 {
		return true
	}
	b.begin(from.page)
	before := -1
	for i := range from.n {
		place := int(from.place[i])
		b.data = appendEntry(b.data, place-before-1, from.count[i])
		before = place
	}
	b.n += from.n
	b.end()
	return true
}

// appendEntry appends an entry that stands gap places behind the next possible one.
func appendEntry(data []byte, gap int, count uint64) []byte {
	if count == 1 {
		return appendUvarint(data, 1+uint64(gap<<1|1))
	}
	return appendUvarint(appendUvarint(data, 1+uint64(gap<<1)), count)
}

// begin appends a block's head, with a byte for the length of what follows.
func (b *builder) begin(page uint32) {
	if b.blocks%markEvery == 0 {
		b.marks = append(b.marks, mark{b.last, page, uint32(len(b.data))})
	}
	b.data = append(appendUvarint(b.data, uint64(page-b.last)), 0)
	b.last, b.body = page, len(b.data)
	b.blocks++
}

// end completes a block. Its length mostly takes the one byte that there is.
func (b *builder) end() {
	size := len(b.data) - b.body
	if size < 0x80 {
		b.data[b.body-1] = byte(size)
		return
	}
	var length [binary.MaxVarintLen32]byte
	n := binary.PutUvarint(length[:], uint64(size))
	b.data = slices.Insert(b.data, b.body, length[1:n]...)
	b.data[b.body-1] = length[0]
}

// appendUvarint is binary.AppendUvarint with a fast way through one byte.
func appendUvarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}

// finish is the list, at its size.
func (b *builder) finish() list {
	l := list{data: append([]byte(nil), b.data...), marks: append([]mark(nil), b.marks...), n: b.n, dead: b.dead}
	*b = builder{list: list{data: b.data[:0], marks: b.marks[:0]}}
	return l
}

// pageSum adds up the counts of one page's rows.
type pageSum struct {
	count [pageRows]uint64
	set   [pageRows / 64]uint64
}

func (s *pageSum) add(place uint8, n uint64) {
	if n == 0 { // removed
		return
	}
	s.count[place] = addSaturating(s.count[place], n)
	s.set[place>>6] |= 1 << (place & 63)
}

// reset empties s for the next page.
func (s *pageSum) reset() {
	for w, word := range s.set {
		for ; word != 0; word &= word - 1 {
			s.count[w<<6|bits.TrailingZeros64(word)] = 0
		}
		s.set[w] = 0
	}
}

// cursor walks a list block by block.
type cursor struct {
	l    *list
	at   int    // where the current block's entries begin
	size int    // their bytes
	page uint32 // of the current block
	done bool
}

// start goes to the first block.
func (c *cursor) start(l *list) {
	*c = cursor{l: l}
	c.header()
}

// header reads the block header at c.at.
func (c *cursor) header() {
	data := c.l.data[c.at:]
	if len(data) == 0 {
		c.done = true
		return
	}
	gap, n := uvarint(data)
	size, m := uvarint(data[n:])
	c.page += uint32(gap)
	c.at += n + m
	c.size = int(size)
}

// next goes to the next block.
func (c *cursor) next() {
	c.at += c.size
	c.header()
}

// seek goes forward to the first block of a page ≥ page.
func (c *cursor) seek(page uint32) {
	if c.done || c.page >= page {
		return
	}
	marks := c.l.marks
	if i := sort.Search(len(marks), func(i int) bool { return marks[i].page > page }) - 1; i >= 0 && marks[i].page > c.page {
		c.at, c.page = int(marks[i].at), marks[i].before
		c.header()
	}
	for !c.done && c.page < page {
		c.next()
	}
}

// read decodes the current block.
func (c *cursor) read(b *block) {
	data := c.l.data[c.at : c.at+c.size]
	b.page, b.n = c.page, 0
	place := -1
	for len(data) > 0 {
		v, n := uvarint(data)
		if v == 0 {
			break
		}
		v--
		data = data[n:]
		place += int(v>>1) + 1
		count := uint64(1)
		if v&1 == 0 {
			count, n = uvarint(data)
			data = data[n:]
		}
		b.place[b.n&(pageRows-1)], b.count[b.n&(pageRows-1)] = uint8(place), count
		b.n++
	}
}

// uvarint is binary.Uvarint with a fast way through one byte.
func uvarint(b []byte) (v uint64, n int) {
	if b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}
