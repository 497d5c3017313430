package seen

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// ReaderAt reads a run's bytes, as io.ReaderAt does.
type ReaderAt interface {
	ReadAt(p []byte, off int64) (int, error)
}

// Run is what memory holds of a sorted run of ids. It never changes.
type Run struct {
	Header
	fences []uint64 // Hi of the first id of each block
	filter Filter
}

// Bytes is what the run takes in memory: at most one and a half an id, and a
// few dozen.
func (r *Run) Bytes() int64 { return int64(len(r.fences)+len(r.filter))*8 + runBytes }

const runBytes = 80

// Filter is the run's filter.
func (r *Run) Filter() Filter { return r.filter }

// Has looks an id up in the run's bytes: one block is read, more only where
// ids with the same Hi go over blocks.
func (r *Run) Has(id ID, in ReaderAt, block *[BlockBytes]byte) (bool, error) {
	for b := r.find(id.Hi); b >= 0; b-- {
		ids, err := r.block(b, in, block[:])
		if err != nil {
			return false, err
		}
		n := len(ids) / idBytes
		p := id.Pack()
		i := sort.Search(n, func(i int) bool { return !readID(ids[i*idBytes:]).less(p) })
		if i < n && readID(ids[i*idBytes:]) == p {
			return true, nil
		}
		if r.fences[b] < id.Hi {
			break
		}
	}
	return false, nil
}

// find is the last block that begins at or before hi; -1: none. Ids that are
// spread evenly are within a few blocks of where scaling says.
func (r *Run) find(hi uint64) int {
	const near = 8
	low, high := 0, len(r.fences) // around the first block that begins behind hi
	at := scale(hi, high)
	if before := at - near; before >= 0 && r.fences[before] <= hi {
		low = before + 1
	}
	if behind := at + near; behind < high && r.fences[behind] > hi {
		high = behind
	}
	for low < high {
		if mid := int(uint(low+high) >> 1); r.fences[mid] <= hi {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// block reads and checks block b and gives its ids' bytes.
func (h Header) block(b int, in ReaderAt, buf []byte) ([]byte, error) {
	_, _, size := h.place(b)
	buf = buf[:size]
	if n, err := in.ReadAt(buf, int64(b)*BlockBytes); n < size {
		return nil, fmt.Errorf("read block %d of run %s: %w", b, h.Name(), err)
	}
	return h.checked(b, buf)
}

// checked gives the ids' bytes of block b.
func (h Header) checked(b int, buf []byte) ([]byte, error) {
	_, start, size := h.place(b)
	body := buf[:size-sumBytes]
	if sum(b, body) != binary.LittleEndian.Uint32(buf[size-sumBytes:]) {
		return nil, fmt.Errorf("%w: block %d of %s, at byte %d, does not have its checksum", ErrDamaged, b, h.Name(), int64(b)*BlockBytes)
	}
	return body[start:], nil
}

// Open reads what memory holds of a run of size bytes. Its ids are checked as
// they are read.
func Open(in ReaderAt, size int64) (*Run, error) {
	var first [BlockBytes]byte
	have := min(size, BlockBytes)
	if n, err := in.ReadAt(first[:have], 0); int64(n) < have {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	h, err := parseHeader(first[:have])
	if err != nil {
		return nil, err
	}
	if want := h.Size(); size != want {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrDamaged, size, want)
	}
	if _, err := h.checked(0, first[:]); err != nil {
		return nil, err
	}
	r := &Run{Header: h, fences: make([]uint64, h.blocks()), filter: make(Filter, filterBlocks(h.Count)*filterWords)}
	at, check := size-h.indexBytes()-sumBytes, uint32(h.blocks())
	for _, words := range [...][]uint64{r.fences, r.filter} {
		for len(words) > 0 {
			n := min(len(words), BlockBytes/8)
			if got, err := in.ReadAt(first[:8*n], at); got < 8*n {
				return nil, fmt.Errorf("read the index: %w", err)
			}
			for i := range n {
				words[i] = binary.LittleEndian.Uint64(first[8*i:])
			}
			check = sum(int(check), first[:8*n])
			words, at = words[n:], at+int64(8*n)
		}
	}
	if got, err := in.ReadAt(first[:sumBytes], at); got < sumBytes {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	if binary.LittleEndian.Uint32(first[:]) != check {
		return nil, fmt.Errorf("%w: the index does not have its checksum", ErrDamaged)
	}
	return r, nil
}
