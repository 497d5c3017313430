package seen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// See actors/FORMAT.md, "Runs of event ids", for the bytes.
const (
	// BlockBytes is the size of a run's blocks. Only the last may be smaller.
	BlockBytes  = 4096
	headerBytes = 60
	idBytes     = 12
	sumBytes    = 4
	perBlock    = (BlockBytes - sumBytes) / idBytes
	perFirst    = (BlockBytes - sumBytes - headerBytes) / idBytes

	magic = "CRESTIDS"
	// Version is the version of the bytes.
	Version = 1
)

// ErrDamaged is in every error that says that a run's bytes are not those that
// were written.
var ErrDamaged = errors.New("the run is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header says which ids a run has.
type Header struct {
	// First is the number of its first id in the order in which the ids of the
	// partition came; the others follow without a gap.
	First uint64
	Count uint64 // at least 1
	// SumHi and SumLo are the sums of the ids' halves: two runs of the same
	// numbers and sums have the same ids.
	SumHi, SumLo uint64
}

// add takes an id into the sums.
func (h *Header) add(p Packed) {
	h.Count++
	h.SumHi += p.hi()
	h.SumLo += uint64(p[2])
}

// Join is the header of the run of both runs' ids; g's follow h's.
func (h Header) Join(g Header) Header {
	if g.First != h.First+h.Count {
		panic("seen: runs that do not follow one another")
	}
	return Header{h.First, h.Count + g.Count, h.SumHi + g.SumHi, h.SumLo + g.SumLo}
}

// HeaderOf is the header of the run of these ids.
func HeaderOf(first uint64, ids []Packed) Header {
	h := Header{First: first}
	for _, p := range ids {
		h.add(p)
	}
	return h
}

// Name is a file name that no run of other ids has.
func (h Header) Name() string {
	return fmt.Sprintf("%016x-%08x-%016x%08x.ids", h.First, h.Count, h.SumHi, uint32(h.SumLo))
}

// blocks is how many blocks the ids take.
func (h Header) blocks() int {
	if h.Count <= perFirst {
		return 1
	}
	return 1 + int((h.Count-perFirst+perBlock-1)/perBlock)
}

// place is which ids block b has, where they begin in it, and how long it is.
func (h Header) place(b int) (count, start, size int) {
	if b == 0 {
		count, start = int(min(perFirst, h.Count)), headerBytes
	} else {
		before := uint64(perFirst) + uint64(b-1)*perBlock
		count = int(min(perBlock, h.Count-before))
	}
	return count, start, start + count*idBytes + sumBytes
}

// Size is how many bytes the run has.
func (h Header) Size() int64 {
	_, _, last := h.place(h.blocks() - 1)
	return int64(h.blocks()-1)*BlockBytes + int64(last) + h.indexBytes() + sumBytes
}

// indexBytes is what the fences and the filter take.
func (h Header) indexBytes() int64 {
	return int64(h.blocks())*8 + int64(filterBlocks(h.Count))*filterBlockBytes
}

// IndexBytes is what memory holds of a run of n ids.
func IndexBytes(n uint64) int64 { return Header{Count: n}.indexBytes() + runBytes }

func (h Header) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, Version)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, v := range [...]uint64{h.First, h.Count, h.SumHi, h.SumLo} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return append(b, make([]byte, headerBytes-48)...)
}

// parseHeader reads the header; its checksum is the first block's.
func parseHeader(b []byte) (h Header, err error) {
	if len(b) < headerBytes || string(b[:8]) != magic {
		return h, fmt.Errorf("%w: it does not begin with %s", ErrDamaged, magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return h, fmt.Errorf("format version %d of a run of ids: this program reads %d", v, Version)
	}
	for i, v := range [...]*uint64{&h.First, &h.Count, &h.SumHi, &h.SumLo} {
		*v = binary.LittleEndian.Uint64(b[16+8*i:])
	}
	if h.Count == 0 || h.Count > 1<<40 {
		return h, fmt.Errorf("%w: it says that it has %d ids", ErrDamaged, h.Count)
	}
	return h, nil
}

// sum is the checksum of block b, or with b = blocks that of the index: it is
// seeded with the place, so that a block is right in its own place only.
func sum(b int, data []byte) uint32 {
	return crc32.Update(uint32(b), castagnoli, data)
}

func appendID(b []byte, p Packed) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.hi())
	return binary.LittleEndian.AppendUint32(b, p[2])
}

func readID(b []byte) Packed {
	_ = b[idBytes-1]
	hi := binary.LittleEndian.Uint64(b)
	return Packed{uint32(hi >> 32), uint32(hi), binary.LittleEndian.Uint32(b[8:])}
}
