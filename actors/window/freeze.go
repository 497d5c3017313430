package window

import (
	"slices"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// Frozen is the state of a table as of one moment: another goroutine may save it
// while the table goes on counting. What is large it shares with the table, which
// copies before it changes (see shared.go); what is small it has copied.
type Frozen struct {
	table               *Table
	categories, regions frozenNames
	clock, first        messages.Micros
	versions            uint64
	key                 uint64 // tells whether sketches are read with the key they were made with

	chunks   []*chunk
	arena    [][]byte
	pages    []page
	families []frozenFamily
	slices   []slice
	rowCount int

	hidden frozenHidden
	sweep  frozenSweep
	hiding hiding // pressed, topics, draws and weighed
}

// frozenNames is what Names are: names do not change once they are there.
type frozenNames struct {
	list   []name
	folded bool
}

// frozenFamily is what of a family does not follow from its rows.
type frozenFamily struct {
	familyKey
	cuts cuts
}

// frozenHidden is what is in no row.
type frozenHidden struct {
	sketches *sketch.CountMin // nil: no row has left yet
	lines    *sketch.Lines
	filter   *sketch.Filter
	floors   []frozenFloor // by region
	begun    messages.Micros
	delta    float64
}

// frozenFloor is a floor between two batches.
type frozenFloor struct {
	region NameID
	recent [allWindow]moments
	all    uint64
}

// frozenSweep is how far the sweep is, and what it has seen. It begins the region
// at hand anew.
type frozenSweep struct {
	region NameID
	rounds int
	kinds  [2]heats
}

// Freeze is the table's state as of now, to be saved while the table goes on
// counting. It takes the time that headers of pages, slices and chunks take to be
// copied; what is changed afterwards is copied then, once each. One Frozen can be
// held at a time, until its Release.
func (t *Table) Freeze() *Frozen {
	if t.frozen != nil {
		panic("window: a table is frozen twice")
	}
	f := &Frozen{
		table:      t,
		categories: frozenNames{t.categories.list, t.categories.folded},
		regions:    frozenNames{t.regions.list, t.regions.folded},
		clock:      t.clock,
		first:      t.first,
		versions:   t.line.versions,
		key:        t.hidden.fingerprint(),
		chunks:     slices.Clone(t.topics.records.chunks),
		arena:      slices.Clone(t.topics.arena),
		pages:      slices.Clone(t.rows.pages),
		families:   make([]frozenFamily, len(t.rows.families)),
		slices:     make([]slice, len(t.line.slices)),
		rowCount:   t.rows.n,
		sweep:      frozenSweep{t.sweep.region, t.sweep.rounds, t.sweep.kinds},
		hiding:     hiding{pressed: t.hiding.pressed, topics: t.hiding.topics, draws: t.hiding.draws, weighed: t.hiding.weighed},
	}
	for i, fam := range t.rows.families {
		f.families[i] = frozenFamily{fam.familyKey, fam.cuts}
	}
	for i, s := range t.line.slices {
		f.slices[i] = *s
		s.sharedList, s.sharedFrozen, s.sharedLate = true, len(s.frozen) > 0, len(s.late)
	}
	t.rows.shared = sharedAll(len(t.rows.pages))
	t.topics.records.shared = sharedAll(len(t.topics.records.chunks))
	f.hidden.freeze(&t.hidden)
	t.frozen = f
	return f
}

// Release ends the copying. Called by the owner of the table; whoever saves f must
// be done.
func (f *Frozen) Release() {
	t := f.table
	if t.frozen != f {
		panic("window: a table's frozen state is released twice")
	}
	t.frozen = nil
	t.rows.shared, t.topics.records.shared = nil, nil
	for _, s := range t.line.slices {
		s.sharedList, s.sharedFrozen, s.sharedLate = false, false, 0
	}
	if h := &t.hidden; h.sketches != nil {
		h.sketches.Thaw()
		h.whole.lines.Thaw()
		h.filter.Thaw()
	}
	f.table = nil
}

func (f *frozenHidden) freeze(h *hidden) {
	f.begun, f.delta = h.begun, h.delta
	if h.sketches == nil {
		return
	}
	f.sketches, f.lines, f.filter = h.sketches.Freeze(), h.whole.lines.Freeze(), h.filter.Freeze()
	n := 0
	for _, x := range h.floors {
		for w := range x.recent {
			n += len(x.recent[w])
		}
	}
	all := make(moments, 0, n)
	for region, x := range h.floors {
		copied := frozenFloor{region: region, all: x.all}
		for w, m := range x.recent {
			from := len(all)
			all = append(all, m...)
			copied.recent[w] = all[from:len(all):len(all)]
		}
		f.floors = append(f.floors, copied)
	}
	slices.SortFunc(f.floors, func(a, b frozenFloor) int { return int(a.region) - int(b.region) })
}

// fingerprint is the same for the same key.
func (h *hidden) fingerprint() uint64 { return h.hasher.Topic([]byte("fingerprint")).A }
