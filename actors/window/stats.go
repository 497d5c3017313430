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
			Names:      t.topics.bytes,
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

// room is bytes in use that new rows can have: places and names of rows that
// left.
func (t *Table) room() int64 {
	n := int64(t.rows.free)*rowBytes + t.topics.gone
	for _, l := range t.line.slices {
		n += int64(l.list.dead)
	}
	return n
}

// sliceBytes is a slice without its entries.
const sliceBytes = 144
