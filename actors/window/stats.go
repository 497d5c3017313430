package window

import "github.com/crestdb/crest/messages"

// Stats is how much a table holds.
type Stats struct {
	Topics, Rows, Slices int
	Memory               messages.Memory
}

// Stats walks over the slices and candidate sets, nothing larger.
func (t *Table) Stats() Stats {
	s := Stats{
		Topics: t.topics.n,
		Rows:   t.rows.n,
		Slices: len(t.line.slices),
		Memory: messages.Memory{
			Rows:       t.rows.bytes,
			Names:      t.topics.bytes + t.topics.records.bytes(),
			Index:      t.topics.index.bytes + t.rows.index.bytes,
			Candidates: t.watches.bytes(),
		},
	}
	for _, l := range t.line.slices {
		s.Memory.Lists += l.list.bytes() + sliceBytes
		s.Memory.Overlays += int64(cap(l.frozen)+cap(l.late)) * 8
	}
	s.Memory.Lists += t.merge.build.bytes()
	s.Memory.Sketches, s.Memory.Filters = t.hidden.bytes()
	s.Memory.Candidates += t.sweep.bytes() + t.hiding.bytes()
	s.Memory.Overlays += int64(cap(t.line.spare)+cap(t.scratch.sorter.spare)) * 8
	return s
}

// used is the memory held. Of the room for rows to come it counts what is usual:
// what more there is they take before they take anything else.
func (t *Table) used() int64 {
	m, room := t.Stats().Memory, t.room()
	live := m.Engine() - room
	return live + min(room, live/roomUsual)
}

const roomUsual = 6

// leavable is about what of the memory held would go if all rows left: their
// places, index slots, topics and entries, without those of ghosts.
func (t *Table) leavable() int64 {
	n := int64(t.rows.n - t.rows.ghostRows)
	bytes, entries := int64(0), 0
	for _, l := range t.line.slices {
		bytes += int64(len(l.list.data) - l.list.dead)
		entries += l.list.n
		bytes += int64(len(l.frozen)+len(l.late)) * 8
		entries += len(l.frozen) + len(l.late)
	}
	// A ghost has an entry in most slices; in proportion they have no more.
	all := int64(max(1, entries))
	ofRows := max(all-int64(t.rows.ghostRows*len(t.line.slices)), all*n/int64(max(1, t.rows.n)))
	return n*(rowBytes+indexBytes) + int64(t.topics.n)*(topicBytes+indexBytes) + t.topics.names + bytes*ofRows/all
}

// indexBytes is about what an entry in an index takes.
const indexBytes = 14

// room is bytes in use that new rows can have: places and names of rows that
// left.
func (t *Table) room() int64 {
	n := t.rows.free + t.topics.gone + int64(t.topics.records.held-t.topics.n)*topicBytes
	for _, l := range t.line.slices {
		n += int64(l.list.dead)
	}
	return n
}

// sliceBytes is a slice without its entries.
const sliceBytes = 176
