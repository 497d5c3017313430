package eventlog

import (
	"unsafe"

	"github.com/crestdb/crest/messages"
)

// blockLists is the blocks of a chunk, per partition, in the order of the log.
// Lists only grow, and what is in them never changes: whoever has copied a
// list's slice header may read it without a lock.
type blockLists struct {
	by    [][]messages.ReadBlock
	bytes int64 // of memory, about
}

const readBlockBytes = int64(unsafe.Sizeof(messages.ReadBlock{}))

func newBlockLists(partitions int) *blockLists {
	return &blockLists{by: make([][]messages.ReadBlock, partitions), bytes: int64(partitions) * 24}
}

// reserve makes room for as many blocks per partition.
func (l *blockLists) reserve(counts []int) {
	total := 0
	for _, n := range counts {
		total += n
	}
	all := make([]messages.ReadBlock, total)
	for p, n := range counts {
		l.by[p] = all[:0:n]
		all = all[n:]
	}
}

// add appends the frame's blocks. They refer to the frame's bytes, which must
// not change any more.
func (l *blockLists) add(f *frame, log messages.LogID) {
	l.bytes += int64(len(f.raw))
	var key string
	var pos []byte
	if len(f.key) > 0 {
		// A copy: whoever remembers the key must not hold a whole chunk by it.
		key = string(f.key)
		pos = f.position(log)
		l.bytes += int64(len(key) + len(pos))
	}
	for b := range f.blocks() {
		l.bytes += readBlockBytes
		l.by[b.partition] = append(l.by[b.partition], messages.ReadBlock{
			Offset:   b.offset,
			End:      b.end(),
			Kind:     f.kind,
			Stamp:    f.stamp,
			Key:      key,
			BodyHash: f.hash,
			Records:  b.records,
			Data:     b.data,
			Position: pos,
		})
	}
}

// position is the frame's position as Append returned it, encoded.
func (f *frame) position(log messages.LogID) []byte {
	last := messages.Partition(le.Uint32(f.table[len(f.table)-blockEntry:]))
	p := make(messages.Position, last+1)
	for b := range f.blocks() {
		p[b.partition] = b.end()
	}
	return p.AppendTo(nil, log)
}
