package window

import (
	"math/bits"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// While memory is short, most keys that come without a row would lose theirs
// with the next batch that leaves, before a second count has come. Where the
// sweep would find a row cold that has no more than the count at hand, the
// count is hidden at once: the effect is that of a row made and let go, at a
// third of the cost. One of cut ÷ count such keys gets a row all the same, so a
// key that keeps coming has one about when it has come cut times, whatever the
// sketches can or cannot tell of it.

// cutLife is how long what the sweep has measured of a region is believed.
// When it is not, rows are made, memory grows short, and the sweep comes by.
const cutLife = messages.Minute

// hiding is the keys whose counts a delta hid. Their bounds enter the floors
// together, in the end: each is on top of what was hidden of its key before the
// delta, else every key would raise the floor that the next one begins with.
type hiding struct {
	pressed bool // memory is short: cold counts are hidden
	topics  bool // topics' too
	draws   uint64
	keys    []hiddenKey
	slots   []uint32 // keys by hash: index + 1
	floors  []*floor // of their regions
	batch   uint32
}

// hiddenKey is a key that is counted without a row.
type hiddenKey struct {
	key    sketch.Key
	region NameID
	before admission // what was known of it before
	all    uint64
	in     [allWindow]uint64 // by window, begun as for floors
}

const hiddenKeyBytes = int64(24 + 8 + 8*allWindow)

func (h *hiding) bytes() int64 {
	return int64(cap(h.keys))*hiddenKeyBytes + int64(cap(h.slots))*4 + int64(cap(h.floors))*8
}

// press tells how short memory is.
func (t *Table) press(used int64) {
	h, limit := &t.hiding, t.hidden.memory
	h.pressed = t.hidden.sketches != nil && used > limit-limit/8 && t.leavable() > limit/4
	h.topics = h.pressed && !t.topicsHaveLittle()
}

// cold tells whether a count of a new key of a family is to be hidden; sure: no
// chance is given.
func (h *hiding) cold(f *family, n uint64, open messages.Micros) bool {
	if n >= f.cut || f.cutAt+cutLife < open {
		return false
	}
	// The keys are secret, and what is drawn depends on all that came before.
	h.draws++
	x := (h.draws ^ h.draws>>31) * 0x9e3779b97f4a7c15
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	admitted, _ := bits.Mul64(x^x>>32, f.cut)
	return admitted >= n
}

// hideTopic hides the count of a topic without a row, unless it is hot.
func (c *counting) hideTopic(d *Delta, r *DeltaRow) bool {
	t := c.t
	if !t.hiding.topics {
		return false
	}
	f := t.rows.families[t.family(false, r.Category, NoName)]
	var regional *family
	if r.Region != NoName {
		regional = t.rows.families[t.family(false, r.Category, r.Region)]
		if r.Count >= regional.cut || regional.cutAt+cutLife < t.line.open {
			return false
		}
	}
	if !t.hiding.cold(f, r.Count, t.line.open) {
		return false
	}
	topic := t.hidden.hasher.Topic(d.Topic(r))
	c.hide(f, topic, NoName, r.Count)
	if regional != nil {
		c.hide(regional, t.hidden.in(topic, r.Region), r.Region, r.Count)
	}
	return true
}

// hideRegional hides the count of a topic that has no row in the region,
// unless it is hot.
func (c *counting) hideRegional(d *Delta, r *DeltaRow) bool {
	t := c.t
	if !t.hiding.pressed {
		return false
	}
	f := t.rows.families[t.family(false, r.Category, r.Region)]
	if !t.hiding.cold(f, r.Count, t.line.open) {
		return false
	}
	c.hide(f, t.hidden.key(d.Topic(r), r.Region), r.Region, r.Count)
	return true
}

// hide counts n for a key in what is hidden, and for its family's ghost.
func (c *counting) hide(f *family, key sketch.Key, region NameID, n uint64) {
	t := c.t
	f.add(n, c.from)
	ghost := t.rows.ghost(f, false)
	t.rows.at(ghost).add(n, c.from)
	k := t.hiding.find(t, key, region)
	k.all = addSaturating(k.all, n)
	t.hidden.foldAll(key, n)
	if c.slice == nil {
		return
	}
	c.slice.add(ghost, n)
	t.hidden.fold(c.slice, key, n)
	for w := c.reach; w < allWindow; w++ {
		k.in[w] = addSaturating(k.in[w], n)
	}
}

// find finds or makes the entry of a key.
func (h *hiding) find(t *Table, key sketch.Key, region NameID) *hiddenKey {
	if 2*(len(h.keys)+1) > len(h.slots) {
		h.slots = make([]uint32, max(64, 2*len(h.slots)))
		for i := range h.keys {
			h.place(h.keys[i].key, uint32(i+1))
		}
	}
	mask := uint64(len(h.slots) - 1)
	for i := key.B & mask; h.slots[i] != 0; i = (i + 1) & mask {
		if k := &h.keys[h.slots[i]-1]; k.key == key {
			return k
		}
	}
	h.keys = append(h.keys, hiddenKey{key: key, region: region, before: t.unknownKey(key)})
	t.hidden.filter.Add(key, int64(t.clock))
	h.place(key, uint32(len(h.keys)))
	return &h.keys[len(h.keys)-1]
}

func (h *hiding) place(key sketch.Key, n uint32) {
	mask := uint64(len(h.slots) - 1)
	i := key.B & mask
	for h.slots[i] != 0 {
		i = (i + 1) & mask
	}
	h.slots[i] = n
}

// noteHidden lets the keys' bounds enter the floors.
func (t *Table) noteHidden() {
	h := &t.hiding
	if len(h.keys) == 0 {
		return
	}
	var starts [allWindow]messages.Micros
	for w := range starts {
		starts[w] = t.floorStart(w)
	}
	h.batch++
	for i := range h.keys {
		t.noteKey(&h.keys[i], &starts)
	}
	for _, f := range h.floors {
		f.all = max(f.all, f.most[allWindow])
		for w := range f.recent {
			if n := f.most[w]; n > 0 {
				f.recent[w].forget(starts[w])
				f.recent[w].note(t.line.open.Floor(Grid(messages.StandardWindows[w])), n)
			}
		}
	}
	h.keys, h.floors = h.keys[:0], h.floors[:0]
	if cap(h.keys) > hidingMost {
		h.keys, h.slots = nil, nil
	}
	clear(h.slots)
}

// hidingMost bounds the buffer for keys that is kept.
const hidingMost = 1 << 13

// noteKey raises what is to be noted of the key's region to the key's bounds:
// what was hidden of it before and what has come, or what the sketches read
// now, which is no less than both. What would raise nothing is not computed.
func (t *Table) noteKey(k *hiddenKey, starts *[allWindow]messages.Micros) {
	f := t.hidingFloor(k.region, starts)
	if k.before&pristine != 0 {
		f.most[allWindow] = max(f.most[allWindow], k.all)
	}
	if k.before&clean != 0 {
		for w, n := range k.in {
			f.most[w] = max(f.most[w], n)
		}
	}
	if k.before&pristine != 0 || !f.raisedBy(k) {
		return
	}
	all := t.hidden.estimateAll(k.key)
	f.most[allWindow] = max(f.most[allWindow], min(all, addSaturating(k.all, f.before[allWindow])))
	if k.before&clean != 0 {
		return
	}
	sum, bounded, end := uint64(0), true, maxMoment
	for w, n := range k.in {
		most := min(all, addSaturating(n, f.before[w]))
		if n == 0 || most <= f.most[w] {
			continue
		}
		if sum < most && bounded {
			m, ok := t.estimate(t.line.between(starts[w], end), k.key)
			sum, bounded, end = addSaturating(sum, m), ok, starts[w]
		}
		if bounded {
			most = min(most, sum)
		}
		f.most[w] = max(f.most[w], most)
	}
}

// hidingFloor is the floor of a region, made ready for the batch.
func (t *Table) hidingFloor(region NameID, starts *[allWindow]messages.Micros) *floor {
	h, f := &t.hiding, t.hidden.floor(region)
	if f.batch == h.batch {
		return f
	}
	f.batch = h.batch
	h.floors = append(h.floors, f)
	f.before[allWindow], f.most[allWindow] = f.all, f.all
	for w := range f.recent {
		f.before[w] = f.recent[w].greatest(starts[w])
		f.most[w] = f.recent[w].latest(t.line.open.Floor(Grid(messages.StandardWindows[w])))
	}
	return f
}

// raisedBy tells whether a key might have more than is to be noted already.
func (f *floor) raisedBy(k *hiddenKey) bool {
	for w, n := range k.in {
		if n > 0 && addSaturating(n, f.before[w]) > f.most[w] {
			return true
		}
	}
	return addSaturating(k.all, f.before[allWindow]) > f.most[allWindow]
}
