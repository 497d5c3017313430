package eventlog

import (
	"slices"
	"sort"

	"github.com/crestdb/crest/messages"
)

// chunkBytes is the length of file that one index entry stands for, and that
// is read back at once. A longer frame is a chunk of its own.
const chunkBytes = 1 << 20

// segment is what is kept in memory of one segment file.
type segment struct {
	number uint64
	seed   uint32
	base   []messages.Offset // next offset of every partition at its first frame
	stamp  messages.Micros   // largest of any frame before it
	size   int64             // durable bytes, header included
	chunks []*chunk          // ascending
}

// chunk is a run of whole frames of one segment: the grain of the index, of
// reading back and of what is kept in memory.
type chunk struct {
	segment *segment
	at      int64 // where it begins in the file
	size    int64 // bytes of the file
	// base is, per partition, the first offset that is not before this chunk.
	base []messages.Offset
	// held is the chunk's blocks if they are in memory. Set and read under the
	// view's lock.
	held *blockLists
	// load is under way if not nil; who needs the chunk waits for it.
	load *load
	// used is the chunk's place in the cache; nil if it is not in there.
	used *cacheEntry
	// closed: no frame is added any more.
	closed bool
}

func newSegment(h *header, size int64) *segment {
	return &segment{number: h.number, seed: h.seed, base: h.base, stamp: h.stamp, size: size}
}

// grow notes a frame of n bytes behind the last one and returns the chunk it
// belongs to. next is every partition's next offset before the frame.
func (s *segment) grow(n int64, next []messages.Offset) *chunk {
	at := s.size
	s.size += n
	if k := len(s.chunks); k > 0 {
		if c := s.chunks[k-1]; !c.closed && c.size+n <= chunkBytes {
			c.size += n
			return c
		}
		s.chunks[k-1].closed = true
	}
	c := &chunk{segment: s, at: at, size: n, base: slices.Clone(next)}
	s.chunks = append(s.chunks, c)
	return c
}

// closeChunk ends the last chunk: what follows begins a new one.
func (s *segment) closeChunk() {
	if k := len(s.chunks); k > 0 {
		s.chunks[k-1].closed = true
	}
}

// find is the place of the chunk that holds offset o of partition p, which
// must lie in the log: the last chunk that does not begin behind it.
func find(segments []*segment, p messages.Partition, o messages.Offset) place {
	s := sort.Search(len(segments), func(i int) bool { return segments[i].base[p] > o }) - 1
	for ; s >= 0; s-- {
		chunks := segments[s].chunks
		c := sort.Search(len(chunks), func(i int) bool { return chunks[i].base[p] > o }) - 1
		if c >= 0 {
			return place{s, c}
		}
		// The segment begins at o but has no frame yet.
	}
	panic("eventlog: offset before the first segment")
}

// place is a chunk's place: indices of its segment and within that.
type place struct{ segment, chunk int }

// after is the place behind k, and whether there is a chunk.
func (k place) after(segments []*segment) (place, bool) {
	if k.chunk+1 < len(segments[k.segment].chunks) {
		return place{k.segment, k.chunk + 1}, true
	}
	for s := k.segment + 1; s < len(segments); s++ {
		if len(segments[s].chunks) > 0 {
			return place{s, 0}, true
		}
	}
	return place{}, false
}
