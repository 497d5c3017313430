package window

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// Load makes a table that answers as the one did that was saved. cfg.Hash and
// cfg.Key must be what they were. With less memory than then, rows leave with the
// deltas that come; sketches that there are keep their sizes, and what they and the
// filter take. With none given, no row leaves any more. Candidate sets and merges
// begin anew. What Save has not written is an error.
func Load(cfg Config, from messages.PartReader) (*Table, error) {
	l := loader{t: New(cfg), from: from}
	for _, p := range [...]struct {
		name string
		load func(r *blockReader)
	}{
		{partTable, l.loadTable}, {partTopics, l.loadTopics}, {partRows, l.loadRows},
		{partSlices, l.loadSlices}, {partHidden, l.loadHidden},
	} {
		if err := l.part(p.name, p.load); err != nil {
			return nil, err
		}
	}
	for _, s := range l.lists {
		if err := l.loadList(s); err != nil {
			return nil, err
		}
	}
	t := l.t
	t.merge.due = true
	t.rows.tight = t.hidden.on && t.used() > t.hidden.memory/2
	t.hiding.pressed = t.hiding.pressed && t.hidden.on && t.hidden.sketches != nil
	t.hiding.topics = t.hiding.topics && t.hiding.pressed
	return t, nil
}

// loader is a table being loaded.
type loader struct {
	t    *Table
	from messages.PartReader
	key  uint64
	// lists are slices with lists in parts of their own.
	lists  []savedList
	folded map[int]bool // slots of slices' sketches
}

type savedList struct {
	list *list
	sum  uint32
}

// part reads a part to its end.
func (l *loader) part(name string, load func(r *blockReader)) error {
	err := l.from.Part(name, func(from io.Reader) error {
		r := blockReader{r: from}
		load(&r)
		return r.end()
	})
	if err != nil {
		return fmt.Errorf("window: load %s: %w", name, err)
	}
	return nil
}

func (l *loader) loadTable(r *blockReader) {
	t := l.t
	r.must(r.more())
	if format := r.uvarint(); format != savedFormat {
		if r.err == nil {
			r.err = fmt.Errorf("its format is %d, not %d", format, savedFormat)
		}
		return
	}
	t.clock, t.first = messages.Micros(r.varint()), messages.Micros(r.varint())
	r.must(t.clock >= 0 && t.clock < maxMoment)
	t.line.open = t.clock.Floor(messages.SliceLength)
	t.setStarts()
	t.line.versions = r.uvarint()
	l.key = r.u64()
	t.hiding.pressed, t.hiding.topics = r.bool(), r.bool()
	t.hiding.draws = r.uvarint()
	t.hiding.weighed = int(r.most(math.MaxInt))
	s := &t.sweep
	s.region = NameID(r.most(math.MaxUint32))
	s.rounds = int(r.most(math.MaxInt))
	for k := range s.kinds {
		h := &s.kinds[k]
		h.share, h.limit = math.Float64frombits(r.u64()), math.Float64frombits(r.u64())
		r.must(h.share >= heatShare && h.share <= shareMost && h.limit >= 0)
		h.of, h.freed = int(r.most(math.MaxInt)), int(r.most(math.MaxInt))
		for i := range h.seen {
			h.seen[i] = uint32(r.most(math.MaxUint32))
		}
	}
	loadNames(r, t.categories)
	loadNames(r, t.regions)
	for r.more() {
		t.loadFamily(r)
	}
}

func loadNames(r *blockReader, n *Names) {
	r.must(r.more())
	count, folded := r.uvarint(), r.bool()
	for ; count > 0 && r.more(); count-- {
		text := string(r.bytes(r.uvarint()))
		_, known := n.index[text]
		r.must(!known)
		n.Apply(&NamesDelta{Added: []AddedName{{ID: NameID(len(n.list)), Text: text, Clean: r.bool()}}})
	}
	r.must(count == 0)
	n.folded = folded
}

func (t *Table) loadFamily(r *blockReader) {
	category, region, child := r.most(uint64(len(t.categories.list)-1)), r.most(uint64(len(t.regions.list)-1)), r.bool()
	if child && NameID(category) == NoName {
		r.fail()
	}
	n := len(t.rows.families)
	f := t.family(child, NameID(category), NameID(region))
	if !r.must(int(f) == n) || child {
		return
	}
	c := &t.rows.families[f].cuts
	c.at = admission(r.u32())
	for w := range c.by {
		c.by[w] = uint32(r.most(math.MaxUint32))
	}
}

func (l *loader) loadTopics(r *blockReader) {
	t := &l.t.topics
	x := &t.records
	for r.more() {
		at, n := uint32(len(x.chunks)), int(r.most(chunkTopics))
		if n == 0 {
			x.chunks, x.given = append(x.chunks, nil), append(x.given, at)
			continue
		}
		c := &chunk{used: n}
		x.chunks = append(x.chunks, c)
		x.held += chunkTopics
		place := -1
		for range n {
			place += 1 + int(r.most(chunkTopics))
			size := r.most(messages.MaxTopicBytes)
			name := r.bytes(size)
			if !r.must(size > 0 && place < chunkTopics && at < 1<<(32-topicShift)) {
				return
			}
			hash, id := l.t.hash(name), at<<topicShift|topicID(place)
			if _, known := t.find(hash, name); known {
				r.fail()
				return
			}
			c.topic[place] = topic{hash: hash, prefix: rank.Prefix(name), size: uint16(size), name: t.store(id, name)}
			t.index.add(hash, id)
			t.n++
			t.names += nameHead + int64(size)
		}
	}
}

// loadHidden reads nothing if no row had left.
func (l *loader) loadHidden(r *blockReader) {
	t, h := l.t, &l.t.hidden
	if !r.more() {
		r.must(len(l.folded) == 0)
		return
	}
	if l.key != h.fingerprint() {
		r.err = errors.New("it was made with another key")
		return
	}
	h.begun, h.delta = messages.Micros(r.varint()), math.Float64frombits(r.u64())
	r.must(h.begun >= 0 && h.begun <= t.clock)
	h.floors = make(map[NameID]*floor)
	for n := r.uvarint(); n > 0 && r.must(r.more()); n-- {
		l.loadFloor(r)
	}
	var err error
	read := func(what func(sketch.Get) error) {
		if r.err == nil {
			if err = what(r.get); err != nil && r.err == nil {
				r.err = err
			}
		}
	}
	read(func(get sketch.Get) error { h.sketches, err = sketch.ReadCountMin(get); return err })
	read(func(get sketch.Get) error { h.whole.lines, err = sketch.ReadLines(get); return err })
	read(func(get sketch.Get) error { h.filter, err = sketch.ReadFilter(int64(filterSpan), get); return err })
	if r.err != nil {
		return
	}
	h.width, h.depth = h.sketches.Size()
	h.wide, h.bits = h.whole.lines.Width(), h.filter.Bytes()
	for w := range h.whole.now {
		h.whole.now[w] = periodOf(w, t.line.open)
	}
	r.must(h.whole.lines.Depth() == h.depth && h.sketches.InUse() == len(l.folded))
	for slot := range l.folded {
		r.must(h.sketches.Used(slot))
	}
}

func (l *loader) loadFloor(r *blockReader) {
	region := NameID(r.most(uint64(len(l.t.regions.list) - 1)))
	if l.t.hidden.floors[region] != nil {
		r.fail()
		return
	}
	f := l.t.hidden.floor(region)
	f.all = r.uvarint()
	for w := range f.recent {
		before := moment{at: minMoment, bound: math.MaxUint64}
		for n := r.uvarint(); n > 0 && r.err == nil; n-- {
			m := moment{messages.Micros(r.varint()), r.uvarint()}
			r.must(m.at > before.at && (m.bound < before.bound || len(f.recent[w]) == 0))
			f.recent[w] = append(f.recent[w], m)
			before = m
		}
	}
}
