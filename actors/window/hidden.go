package window

import (
	"math"
	"slices"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// hidden is what the table knows of counts that are in no row, of keys that
// lost theirs: a sketch per slice, sketches of whole windows and of all time, a
// floor per kind of key, and a filter of the keys.
//
// A key here is a topic, or a topic in a region. Child rows leave with their
// plain rows only, so what is hidden of a topic in a category is hidden of the
// topic, and no key of a category is needed.
type hidden struct {
	on       bool // rows may leave
	hasher   sketch.Hasher
	sketches *sketch.CountMin // nil: no row has left yet
	filter   *sketch.Filter
	width    int
	wide     int // width of the sketches of whole windows
	depth    int
	bits     int64 // bytes of the filter
	whole    whole
	floors   map[NameID]*floor
	begun    messages.Micros // when the first row left
	delta    float64
	memory   int64
}

// admission says what a row has not counted: its number of the 5 s slice that
// was open when the row was made, and whether its key may have lost a row
// before. All that happened after that is in the row.
type admission uint32

const (
	// clean: the key has lost no row that any kept slice remembers.
	clean admission = 1 << 31
	// pristine: the key has never lost a row.
	pristine admission = 1 << 30
	// A slice number has 30 bits: 170 years of 5 s slices.
	admissionSlice admission = 1<<30 - 1
)

// unadmitted is a key without a row: nothing of it is in one.
const unadmitted = admissionSlice

func admissionAt(open messages.Micros) admission {
	return admission(min(max(0, open)/messages.SliceLength, messages.Micros(admissionSlice)))
}

// at is the slice that was open; maxMoment if it is not known.
func (a admission) at() messages.Micros {
	if a&admissionSlice == unadmitted {
		return maxMoment
	}
	return messages.Micros(a&admissionSlice) * messages.SliceLength
}

// The filter remembers a key for as long as any slice is kept that was open
// when it lost its row.
var filterSpan = tiers[lastTier].Keep + 2*tiers[lastTier].Grid

// maxSlices bounds the slices that are kept at a time, and "all": two of each
// tier's may be on the way to the next tier.
func maxSlices() int {
	n, until := 1, messages.Micros(0)
	for i := range tiers {
		n += int((tiers[i].Keep-until)/tiers[i].Grid) + 4
		until = tiers[i].Keep
	}
	return n
}

func newHidden(cfg *Config) hidden {
	h := hidden{on: cfg.Memory > 0, hasher: sketch.NewHasher(cfg.Key[0], cfg.Key[1])}
	if !h.on {
		return h
	}
	h.delta, h.memory = cfg.Delta, cfg.Memory
	h.depth = sketch.Depth(cfg.Delta)
	h.width = sketch.Width(cfg.Memory/sketchShare, h.depth, maxSlices(), cfg.Epsilon)
	h.wide = sketch.Width(2*cfg.Memory/sketchShare, h.depth, sketch.Narrow+sketch.WideShare, cfg.Epsilon)
	h.bits = max(64, cfg.Memory/filterShare)
	h.floors = make(map[NameID]*floor)
	return h
}

// The parts of a table's memory that the slices' sketches and the filter may take.
// Those of whole windows take two: what is hidden of a window bounds what is hidden
// of any part of it, so few sketches are worth more than the hundreds of the
// slices.
const (
	sketchShare = 16
	filterShare = 16
)

// begin makes ready for rows to leave.
func (h *hidden) begin(now messages.Micros) {
	if h.sketches != nil {
		return
	}
	h.sketches = sketch.NewCountMin(h.width, h.depth)
	h.filter = sketch.NewFilter(h.bits, int64(filterSpan))
	h.whole = newWhole(h.wide, h.depth, now.Floor(messages.SliceLength))
	h.begun = now
}

func (h *hidden) bytes() (sketches, filters int64) {
	if h.sketches == nil {
		return 0, 0
	}
	n := int64(0)
	for _, f := range h.floors {
		n += floorBytes
		for w := range f.recent {
			n += int64(cap(f.recent[w])) * 16
		}
	}
	return h.sketches.Bytes() + h.whole.lines.Bytes() + n, h.filter.Bytes()
}

const floorBytes = 280

// key is what a topic, or a topic in a region, is hidden under.
func (h *hidden) key(name []byte, region NameID) sketch.Key {
	k := h.hasher.Topic(name)
	if region == NoName {
		return k
	}
	return h.in(k, region)
}

// in is what a topic in a region is hidden under.
func (h *hidden) in(topic sketch.Key, region NameID) sketch.Key {
	return h.hasher.In(topic, 1, 0, uint32(region))
}

// floor finds or makes the floor of a region.
func (h *hidden) floor(region NameID) *floor {
	f := h.floors[region]
	if f == nil {
		f = new(floor)
		h.floors[region] = f
	}
	return f
}

// admit is the admission of a new row of a key.
func (t *Table) admit(topic topicID, region NameID) admission {
	a := admissionAt(t.line.open)
	h := &t.hidden
	switch {
	case h.sketches == nil:
		return a | clean | pristine
	case h.filter.Has(h.key(t.topics.Name(topic), region)):
		return a
	case t.clock-h.begun < filterSpan: // it has forgotten nothing yet
		return a | clean | pristine
	}
	return a | clean
}

// fold counts n for a key in what is hidden: of a slice, of the windows from the
// from-th on, of those that the slice is in, and of "all". s is nil for a slice
// that is kept no longer. read, if not nil, is what the key reads then.
func (h *hidden) fold(s *slice, in *narrows, from int, k sketch.Key, n uint64, read *reading) {
	var rows sketch.Rows
	k.Rows(h.depth, &rows)
	h.whole.add(&rows, n, in, from, read)
	if s == nil {
		return
	}
	if s.folded == 0 {
		s.folded = h.sketches.Acquire() + 1
	}
	h.sketches.AddRows(s.folded-1, &rows, n)
}

// merge adds what is hidden of a slice to that of the one it is merged into.
func (h *hidden) merge(into, from *slice) {
	switch {
	case from.folded == 0:
	case into.folded == 0:
		into.folded, from.folded = from.folded, 0
	default:
		h.sketches.Merge(into.folded-1, from.folded-1)
		h.release(from)
	}
}

func (h *hidden) release(s *slice) {
	if s.folded != 0 {
		h.sketches.Release(s.folded - 1)
		s.folded = 0
	}
}

// estimate is the most that slices hold of a key; false: they bound nothing.
func (t *Table) estimate(among []*slice, k sketch.Key) (n uint64, bounded bool) {
	slots := t.scratch.slots[:0]
	for _, s := range among {
		if s.folded != 0 {
			slots = append(slots, s.folded-1)
		}
	}
	t.scratch.slots = slots
	n, saturated := t.hidden.sketches.Sum(slots, k)
	return n, !saturated
}

// floorStart is where a standard window begins for the earliest question that
// may still be asked.
func (t *Table) floorStart(w int) messages.Micros {
	return Resolve(messages.StandardWindows[w], t.clock-Margin).Start
}

// floorWindow is the smallest standard window whose floor bounds what is hidden
// from a moment on.
func (t *Table) floorWindow(start messages.Micros) int {
	w := 0
	for w < allWindow && t.floorStart(w) > start {
		w++
	}
	return w
}

// floorOf is what no key of a region (NoName: no topic) can have hidden in a
// standard window.
func (t *Table) floorOf(region NameID, w int) uint64 {
	f := t.hidden.floors[region]
	switch {
	case f == nil:
		return 0
	case w == allWindow:
		return f.all
	}
	return f.recent[w].greatest(t.floorStart(w))
}

// viewFloor bounds what is hidden of any key of a region in a view.
func (t *Table) viewFloor(v *view, region NameID) uint64 {
	if t.hidden.sketches == nil {
		return 0
	}
	return t.floorOf(region, t.floorWindow(v.Start))
}

// hiddenOf is the most that is in no row of a key in a view: a is the
// admission of its row, unadmitted without one. It may be told higher than known
// if it is enough to know that it is at most so much.
func (t *Table) hiddenOf(v *view, name []byte, region NameID, a admission, enough uint64) uint64 {
	floor := t.viewFloor(v, region)
	if floor == 0 || a&pristine != 0 {
		return 0
	}
	h := &t.hidden
	inWindow := v.Start > minMoment
	if inWindow && (a&clean != 0 || a.at() < v.Start) {
		return 0
	}
	key := h.key(name, region)
	var read reading
	h.whole.read(key, &read)
	most := min(floor, read[t.floorWindow(v.Start)])
	if inWindow && most > enough {
		among := t.line.between(v.Start, min(v.End, a.at()+1))
		if n, bounded := t.estimate(among, key); bounded {
			most = min(most, n)
		}
	}
	return most
}

// hiddenOfRow is hiddenOf for a row, of whatever kind.
func (t *Table) hiddenOfRow(v *view, id rowID, enough uint64) uint64 {
	if t.hidden.sketches == nil {
		return 0
	}
	p := &t.rows.pages[id>>pageShift]
	i := p.index(id)
	return t.hiddenOf(v, t.topics.Name(p.rows[i].topic), p.region, p.since[i], enough)
}

// unknown is the admission of a key that has no row.
func (t *Table) unknown(name []byte, region NameID) admission {
	if t.hidden.sketches == nil {
		return unadmitted | clean | pristine
	}
	return t.unknownKey(t.hidden.filter.Has(t.hidden.key(name, region)))
}

func (t *Table) unknownKey(lost bool) admission {
	switch h := &t.hidden; {
	case lost:
		return unadmitted
	case t.clock-h.begun < filterSpan:
		return unadmitted | clean | pristine
	}
	return unadmitted | clean
}

// SketchError is the error that what is hidden of a window is known with, as a
// share: of all that is hidden, for "all"; for another standard window, of all that is
// hidden of the two periods it lies in; else of what is hidden of the window, as
// the slices' sketches know it. Zero while nothing is hidden.
func (t *Table) SketchError(w messages.Window) messages.SketchError {
	h := &t.hidden
	if h.sketches == nil {
		return messages.SketchError{}
	}
	width := h.width
	switch {
	case w == messages.WindowAll:
		width = sketch.WideShare * h.wide
	case slices.Contains(messages.StandardWindows[:], w):
		width = h.wide
	}
	return messages.SketchError{Epsilon: min(1, sketch.Epsilon(width)), Delta: h.delta}
}

// addHidden adds what is in no row of a topic in a cell, and in those others
// that may hold more of it. Categories need no look of their own: what is
// hidden of a topic in some category is hidden of the topic. enough is as in
// hiddenOf, of all together.
func (t *Table) addHidden(v *view, c *cells, name string, to *messages.Count, enough uint64) {
	if t.hidden.sketches == nil {
		return
	}
	text := []byte(name)
	topic, hash, known := t.findTopic(name)
	regions := c.regions()
	enough /= uint64(max(1, len(regions)))
	for _, region := range regions {
		if t.viewFloor(v, region) == 0 {
			continue
		}
		var id rowID
		if known {
			id = t.row(topic, hash, cell{any: true, region: region})
		}
		n := uint64(0)
		if id != 0 {
			n = t.hiddenOfRow(v, id, enough)
		} else {
			n = t.hiddenOf(v, text, region, t.unknown(text, region), enough)
		}
		*to = to.Add(messages.Count{Upper: n})
	}
}

// regions are those of a cell and of the others beside it, each once.
func (c *cells) regions() []NameID {
	var some [4]NameID
	out := some[:0]
	if c.known {
		out = append(out, c.own.region)
	}
	for _, o := range c.others {
		if !slices.Contains(out, o.region) {
			out = append(out, o.region)
		}
	}
	return out
}

// hiddenBefore bounds how many topics that no row shows may have a count of at
// least n: what left the cell's rows, all together, is known.
func (t *Table) hiddenBefore(v *view, c *cells, n uint64) int {
	n = max(n, 1)
	if t.cellsFloor(v, c) < n {
		return 0
	}
	var total uint64
	add := func(c cell) {
		for _, p := range t.parts(c) {
			p.eachGhost(func(id rowID) { total = addSaturating(total, t.countOf(v, id)) })
		}
	}
	if c.known {
		add(c.own)
	}
	for _, o := range c.others {
		add(o)
	}
	return int(min(total/n, math.MaxInt32))
}
