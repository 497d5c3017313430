package window

import (
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/crestdb/crest/messages"
)

// savedFormat is the version of the bytes; see FORMAT.md.
const savedFormat = 1

// The parts of a saved table. Lists of slices have parts of their own, see listName.
const (
	partTable  = "table"
	partTopics = "topics"
	partRows   = "rows"
	partSlices = "slices"
	partHidden = "hidden"
)

// listFew bytes of a list are not worth a part of their own.
const listFew = 4 << 10

// Save writes the state. Whenever it is called, the bytes are the same.
func (f *Frozen) Save(w messages.PartWriter) error {
	for _, p := range [...]struct {
		name string
		save func(w *blockWriter)
	}{
		{partTable, f.saveTable}, {partTopics, f.saveTopics}, {partRows, f.saveRows},
		{partSlices, f.saveSlices}, {partHidden, f.saveHidden},
	} {
		err := w.Part(p.name, func(w io.Writer) error {
			b := newBlockWriter(w)
			p.save(b)
			b.flush()
			return b.err
		})
		if err != nil {
			return fmt.Errorf("window: save %s: %w", p.name, err)
		}
	}
	for i := range f.slices {
		l := &f.slices[i].list
		if len(l.data) <= listFew {
			continue
		}
		err := w.Shared(l.name(l.sum()), func(w io.Writer) error {
			b := newBlockWriter(w)
			for data := range slices.Chunk(l.data, blockUsual) {
				if err := b.put(data); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("window: save a list: %w", err)
		}
	}
	return nil
}

// listName is the part of a list. A version is given once in a table's life, and
// what follows from an older snapshot gives it again: the checksum tells the bytes
// of different lives apart.
func listName(version uint64, sum uint32) string { return fmt.Sprintf("list-%x-%08x", version, sum) }

func (l *list) name(sum uint32) string { return listName(l.version, sum) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (l *list) sum() uint32 { return crc32.Checksum(l.data, castagnoli) }

func (f *Frozen) saveTable(w *blockWriter) {
	w.uvarint(savedFormat)
	w.varint(int64(f.clock))
	w.varint(int64(f.first))
	w.uvarint(f.versions)
	w.u64(f.key)
	w.bool(f.hiding.pressed)
	w.bool(f.hiding.topics)
	w.uvarint(f.hiding.draws)
	w.uvarint(uint64(f.hiding.weighed))
	w.uvarint(uint64(f.sweep.region))
	w.uvarint(uint64(f.sweep.rounds))
	for k := range f.sweep.kinds {
		h := &f.sweep.kinds[k]
		w.u64(math.Float64bits(h.share))
		w.u64(math.Float64bits(h.limit))
		w.uvarint(uint64(h.of))
		w.uvarint(uint64(h.freed))
		for _, n := range h.seen {
			w.uvarint(uint64(n))
		}
	}
	w.end()
	for _, names := range [...]*frozenNames{&f.categories, &f.regions} {
		w.uvarint(uint64(len(names.list) - int(firstName)))
		w.bool(names.folded)
		w.end()
		for _, n := range names.list[firstName:] {
			w.bytes([]byte(n.text))
			w.bool(n.clean)
			w.end()
		}
	}
	for i := range f.families {
		x := &f.families[i]
		w.uvarint(uint64(x.category))
		w.uvarint(uint64(x.region))
		w.bool(x.child)
		if !x.child {
			w.u32(uint32(x.cuts.at))
			for _, n := range x.cuts.by {
				w.uvarint(uint64(n))
			}
		}
		w.end()
	}
}

// saveTopics writes the names, chunk by chunk, each behind how many places before
// it are free.
func (f *Frozen) saveTopics(w *blockWriter) {
	for _, c := range f.chunks {
		n := 0
		if c != nil {
			for i := range c.topic {
				if c.topic[i].size > 0 {
					n++
				}
			}
		}
		w.uvarint(uint64(n))
		if n > 0 {
			free := 0
			for i := range c.topic {
				r := &c.topic[i]
				if r.size == 0 {
					free++
					continue
				}
				w.uvarint(uint64(free))
				at := r.name & (1<<arenaShift - 1)
				w.bytes(f.arena[r.name>>arenaShift][at : at+uint32(r.size)])
				free = 0
			}
		}
		w.end()
	}
}

// entriesMost is how many entries stand in one record.
const entriesMost = 4096

// saveSlices writes what is not in the lists, and the lists that are small.
func (f *Frozen) saveSlices(w *blockWriter) {
	var by sorter
	var entries []uint64
	for i := range f.slices {
		s := &f.slices[i]
		w.varint(int64(s.start))
		w.uvarint(s.total)
		w.uvarint(uint64(s.folded))
		w.uvarint(s.list.version)
		if few := len(s.list.data) <= listFew; few {
			w.uvarint(1 + uint64(len(s.list.data)))
			w.b = append(w.b, s.list.data...)
		} else {
			w.uvarint(0)
			w.u32(s.list.sum())
		}
		// Nothing is written to late but behind what s has of it, nor to frozen.
		entries = append(append(entries[:0], s.frozen...), s.late...)
		by.sort(entries)
		saveEntries(w, entries)
	}
}

// saveEntries writes sorted entries. It does not matter when they were added up.
func saveEntries(w *blockWriter, entries []uint64) {
	entries = fewest(entries)
	row := rowID(0)
	for len(entries) > 0 {
		n := min(len(entries), entriesMost)
		w.uvarint(uint64(n))
		for _, e := range entries[:n] {
			w.uvarint(uint64(packedRow(e) - row))
			w.uvarint(packedCount(e))
			row = packedRow(e)
		}
		w.end()
		entries = entries[n:]
	}
	w.uvarint(0)
	w.end()
}

// fewest adds sorted entries up, in place, so that all of a row's are as great as
// they can be but the last one.
func fewest(entries []uint64) []uint64 {
	out := entries[:0]
	for _, e := range entries {
		row, count := packedRow(e), packedCount(e)
		if n := len(out); n > 0 && packedRow(out[n-1]) == row {
			more := min(count, math.MaxUint32-packedCount(out[n-1]))
			out[n-1] += more
			count -= more
		}
		if count > 0 {
			out = append(out, pack(row, uint32(count)))
		}
	}
	return out
}

func (f *Frozen) saveHidden(w *blockWriter) {
	h := &f.hidden
	if h.sketches == nil {
		return
	}
	w.varint(int64(h.begun))
	w.u64(math.Float64bits(h.delta))
	w.uvarint(uint64(len(h.floors)))
	w.end()
	for i := range h.floors {
		x := &h.floors[i]
		w.uvarint(uint64(x.region))
		w.uvarint(x.all)
		for _, m := range x.recent {
			w.uvarint(uint64(len(m)))
			for _, bound := range m {
				w.varint(int64(bound.at))
				w.uvarint(bound.bound)
			}
		}
		w.end()
	}
	w.flush()
	// Errors stay in w.
	_ = h.sketches.Save(w.put)
	_ = h.lines.Save(w.put)
	_ = h.filter.Save(w.put)
}
