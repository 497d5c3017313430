package window

import (
	"encoding/binary"
	"sort"
)

// Rows that leave take their counts out of every slice, in place: lists,
// overlays, and the list a merge is building never name a row that is not
// there, so a row's id can be given away at once, and no walk over a slice has
// to ask whether what it sees still lives.

// remove takes the counts of rows, which ascend, out of the slice and calls f
// with each: i is the row's index in ids; several times if it has several.
func (s *slice) remove(ids []rowID, by *sorter, f func(i int, n uint64)) {
	s.settle(by)
	s.list.remove(ids, s.ownList, f)
	removePacked(s.frozen, ids, f)
	if s.sharedLate > 0 && hasPacked(s.late, ids) {
		s.ownLate()
	}
	removePacked(s.late, ids, f)
}

// remove rewrites the blocks of the rows' pages where they stand. Leaving an
// entry out widens the gap of the next one by at most a byte, and the entry
// left out had one at least: what is rewritten never outgrows what was read. own is
// called before data is written to, and may replace it.
func (l *list) remove(ids []rowID, own func(), f func(i int, n uint64)) {
	if l.n == 0 {
		return
	}
	var c cursor
	c.start(l)
	for i := 0; i < len(ids); {
		page, end := ids[i]>>pageShift, i
		if c.page > page { // the list has none of the pages between
			i += searchIDs(ids[i:], c.page<<pageShift)
			continue
		}
		for end < len(ids) && ids[end]>>pageShift == page {
			end++
		}
		if c.seek(page); c.done {
			return
		}
		if c.page == page {
			own()
			l.removeBlock(l.data[c.at:c.at+c.size], ids[i:end], i, f)
		}
		i = end
	}
}

// removeBlock takes rows of one page out of its block; the first of them has
// the index at.
func (l *list) removeBlock(block []byte, ids []rowID, at int, f func(i int, n uint64)) {
	in, out := block, block[:0]
	place, kept, j := -1, -1, 0
	for len(in) > 0 {
		v, n := uvarint(in)
		if v == 0 {
			break
		}
		v--
		in = in[n:]
		place += int(v>>1) + 1
		count := uint64(1)
		if v&1 == 0 {
			count, n = uvarint(in)
			in = in[n:]
		}
		for j < len(ids) && int(uint8(ids[j])) < place {
			j++
		}
		if j < len(ids) && int(uint8(ids[j])) == place {
			f(at+j, count)
			l.n--
			continue
		}
		out = binary.AppendUvarint(out, 1+(uint64(place-kept-1)<<1|v&1))
		if v&1 == 0 {
			out = binary.AppendUvarint(out, count)
		}
		kept = place
	}
	l.dead += len(block) - len(in) - len(out)
	clear(block[len(out):])
}

// removePacked sets the counts of rows in an ascending run to nothing. Both
// skip what the other does not have: most slices have few entries, or none of
// most rows.
func removePacked(run []uint64, ids []rowID, f func(i int, n uint64)) {
	for i := 0; i < len(ids) && len(run) > 0; {
		switch row := packedRow(run[0]); {
		case row < ids[i]:
			run = run[gallop(len(run), func(k int) bool { return packedRow(run[k]) >= ids[i] }):]
		case row > ids[i]:
			i += searchIDs(ids[i:], row)
		default:
			if n := packedCount(run[0]); n > 0 {
				f(i, n)
				run[0] = pack(row, 0)
			}
			run = run[1:] // it may have more
		}
	}
}

// searchIDs is where ids ≥ id begin among ascending ones.
func searchIDs(ids []rowID, id rowID) int {
	return gallop(len(ids), func(k int) bool { return ids[k] >= id })
}

// gallop is sort.Search for something that is probably near.
func gallop(n int, reached func(int) bool) int {
	low, high := 0, 1
	for high < n && !reached(high) {
		low, high = high, 2*high
	}
	return low + sort.Search(min(high, n)-low, func(i int) bool { return reached(low + i) })
}
