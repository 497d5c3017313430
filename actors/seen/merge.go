package seen

import (
	"encoding/binary"
	"fmt"
)

// Writer takes a run's bytes, as io.Writer does.
type Writer interface {
	Write(p []byte) (int, error)
}

// Source is a part of the ids of a run to be made: a run and its bytes, or, in one
// source at most, ids in any order.
type Source struct {
	Run *Run
	In  ReaderAt
	IDs []Packed // if Run is nil
}

const (
	// chunkBlocks are read and written at a time.
	chunkBlocks = 16
	chunkIDs    = chunkBlocks * perBlock
)

// Workspace is the room that making runs takes; it can be used again, by one at
// a time. The zero value is ready.
type Workspace struct {
	sorted []Packed
	counts []uint32
	rooms  [][]Packed // decoded ids, per run that is read
	heads  []head
	tops   []uint64 // Hi of each head's next id
	batch  []Packed // merged, for the next block
	in     []byte
	out    []byte
}

// WorkspaceBytes is what a workspace takes that has merged n runs at a time and
// sorted a full set.
func WorkspaceBytes(n int) int64 {
	return MaxSet*12 + MaxSet/perBucket*4 + int64(n)*chunkIDs*12 + 2*chunkBlocks*BlockBytes
}

// Make writes the run of all the sources' ids: h is their headers' join. No id
// is in two of them. After every few thousand ids it asks halt, and returns its
// error.
func (w *Workspace) Make(h Header, sources []Source, out Writer, halt func() error) (*Run, error) {
	if err := w.open(sources); err != nil {
		return nil, err
	}
	b := newBuilder(h, out, w.out)
	defer func() { w.out, w.batch = b.buf[:0], w.batch[:0] }()
	for len(w.heads) > 0 {
		if err := halt(); err != nil {
			return nil, err
		}
		if err := w.merge(b); err != nil {
			return nil, err
		}
	}
	if len(w.batch) > 0 {
		if err := b.add(w.batch); err != nil {
			return nil, err
		}
	}
	return b.finish()
}

// head is a source's next ids, in order.
type head struct {
	ids   []Packed
	next  int
	run   *Run
	in    ReaderAt
	block int // of the run, to be read next
}

func (w *Workspace) open(sources []Source) error {
	if w.in == nil {
		w.in = make([]byte, chunkBlocks*BlockBytes)
		w.batch = make([]Packed, 0, perBlock)
	}
	w.heads = w.heads[:0]
	for i, s := range sources {
		hd := head{run: s.Run, in: s.In}
		if s.Run == nil {
			if cap(w.sorted) < len(s.IDs) {
				w.sorted = make([]Packed, len(s.IDs))
			}
			hd.ids = w.sorted[:len(s.IDs)]
			w.counts = sortInto(hd.ids, s.IDs, w.counts)
		} else {
			for len(w.rooms) <= i {
				w.rooms = append(w.rooms, make([]Packed, 0, chunkIDs))
			}
			hd.ids = w.rooms[i]
			if err := hd.fill(w.in); err != nil {
				return err
			}
		}
		w.heads = append(w.heads, hd)
	}
	return nil
}

// more tells whether the source has ids that are not read yet.
func (h *head) more() bool { return h.run != nil && h.block < len(h.run.fences) }

// fill reads the run's next ids.
func (h *head) fill(buf []byte) error {
	first, end := h.block, min(h.block+chunkBlocks, len(h.run.fences))
	buf, err := h.run.chunk(first, end, h.in, buf)
	if err != nil {
		return err
	}
	h.ids, h.next = h.ids[:0], 0
	for ; h.block < end; h.block++ {
		count, start, _ := h.run.place(h.block)
		ids := buf[(h.block-first)*BlockBytes+start:][:count*idBytes]
		for ; len(ids) > 0; ids = ids[idBytes:] {
			h.ids = append(h.ids, readID(ids))
		}
	}
	return nil
}

// merge adds ids in order until a head is at its end, and fills that again.
func (w *Workspace) merge(b *builder) error {
	heads, tops := w.heads, w.tops[:0]
	for i := range heads {
		tops = append(tops, heads[i].ids[heads[i].next].hi())
	}
	w.tops = tops
	for {
		least, top := 0, tops[0]
		for i := 1; i < len(tops); i++ {
			if t := tops[i]; t < top || t == top && heads[i].ids[heads[i].next].less(heads[least].ids[heads[least].next]) {
				least, top = i, t
			}
		}
		hd := &heads[least]
		w.batch = append(w.batch, hd.ids[hd.next])
		if len(w.batch) == b.room {
			if err := b.add(w.batch); err != nil {
				return err
			}
			w.batch = w.batch[:0]
		}
		if hd.next++; hd.next < len(hd.ids) {
			tops[least] = hd.ids[hd.next].hi()
			continue
		}
		if hd.more() {
			return hd.fill(w.in)
		}
		last := len(heads) - 1
		heads[least] = heads[last]
		w.heads = heads[:last]
		return nil
	}
}

// builder writes a run from ids that come in order, a block at a time.
type builder struct {
	run   *Run
	got   Header
	out   Writer
	buf   []byte // not yet written
	start int    // of the block under way, in buf
	block int    // its number
	room  int    // how many ids it has, if there are as many
}

func newBuilder(h Header, out Writer, buf []byte) *builder {
	if buf == nil {
		buf = make([]byte, 0, chunkBlocks*BlockBytes)
	}
	r := &Run{Header: h, fences: make([]uint64, 0, h.blocks()), filter: make(Filter, filterBlocks(h.Count)*filterWords)}
	return &builder{run: r, got: Header{First: h.First}, out: out, buf: h.append(buf[:0]), room: perFirst}
}

// add makes a block of ids, b.room of them but in the last one.
func (b *builder) add(ids []Packed) error {
	if b.got.Count+uint64(len(ids)) > b.run.Count {
		return fmt.Errorf("%w: it has more than the %d ids it is said to have", ErrDamaged, b.run.Count)
	}
	b.run.fences = append(b.run.fences, ids[0].hi())
	b.run.filter.addAll(ids)
	for _, p := range ids {
		b.got.add(p)
		b.buf = appendID(b.buf, p)
	}
	b.buf = binary.LittleEndian.AppendUint32(b.buf, sum(b.block, b.buf[b.start:]))
	b.block++
	b.start, b.room = len(b.buf), perBlock
	if b.block%chunkBlocks == 0 {
		return b.write()
	}
	return nil
}

func (b *builder) write() error {
	_, err := b.out.Write(b.buf)
	b.buf, b.start = b.buf[:0], 0
	return err
}

// finish writes the index. The ids must be those of the header: otherwise a
// source was damaged in a way that checksums do not see.
func (b *builder) finish() (*Run, error) {
	if b.got != b.run.Header {
		return nil, fmt.Errorf("%w: it has ids %+v, want %+v", ErrDamaged, b.got, b.run.Header)
	}
	if err := b.write(); err != nil {
		return nil, err
	}
	return b.run, b.run.writeIndex(b.out, b.buf)
}
