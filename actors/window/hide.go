package window

import (
	"math/bits"
	"slices"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// While memory is short, most keys that come without a row would lose theirs
// with the next batch that leaves, before a second count has come. Where the
// sweep would find a row cold that has no more than the count at hand, the
// count is hidden at once: the effect is that of a row made and let go, at a
// third of the cost. Chance lets some get a row all the same, about one that has
// come admitAfter × cut times, if the sketches, which never read too little, say
// that it would be hot.

// cutLife is how long what the sweep has measured of a region is believed.
// When it is not, rows are made, memory grows short, and the sweep comes by.
const cutLife = messages.Minute

// cuts are, by window, the count that makes a row hot, and the 5 s slice that was
// open when that was measured.
type cuts struct {
	by [windows]uint32
	at admission
}

// hiding is the keys whose counts a delta hid, or a portion of them. Their bounds
// enter the floors together: each is on top of what was hidden of its key before,
// else every key would raise the floor that the next one begins with.
type hiding struct {
	pressed bool // memory is short: cold counts are hidden
	topics  bool // topics' too
	draws   uint64
	weighed int // counts that were found cold or hot, ever
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
	now    reading   // what has come since, by window as for floors
	read   reading   // what the sketches read of it then
}

const hiddenKeyBytes = int64(24 + 2*8*windows)

func (h *hiding) bytes() int64 {
	return int64(cap(h.keys))*hiddenKeyBytes + int64(cap(h.slots))*4 + int64(cap(h.floors))*8
}

// press tells how short memory is.
func (t *Table) press(used int64) {
	h, limit := &t.hiding, t.hidden.memory
	h.pressed = t.hidden.sketches != nil && used > limit-limit/8 && t.leavable() > limit/4
	h.topics = h.pressed && !t.topicsHaveLittle()
}

// hot tells whether a key of a family is hot with n more: as far as n alone
// tells, or chance and the sketches.
func (c *counting) hot(f *family, key sketch.Key, n uint64) bool {
	least := uint64(slices.Min(f.cuts.by[c.reach:]))
	h := &c.t.hiding
	if h.weighed++; n >= least {
		return true
	}
	// The keys are secret, and what is drawn depends on all that came before.
	h.draws++
	x := (h.draws ^ h.draws>>31) * 0x9e3779b97f4a7c15
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	if drawn, _ := bits.Mul64(x^x>>32, admitAfter*least); drawn >= n {
		return false
	}
	var read reading
	c.t.hidden.whole.read(key, &read)
	for w := c.reach; w < windows; w++ {
		if addSaturating(read[w], n) >= uint64(f.cuts.by[w]) {
			return true
		}
	}
	return false
}

const admitAfter = 2

// measured tells whether it is known what is hot in a family.
func (t *Table) measured(f *family) bool {
	return f.cuts.at != 0 && f.cuts.at.at()+cutLife >= t.line.open
}

// hideTopic hides the count of a topic without a row, unless it is hot.
func (c *counting) hideTopic(d *Delta, r *DeltaRow) bool {
	t := c.t
	if !t.hiding.topics {
		return false
	}
	f := t.rows.families[t.family(false, r.Category, NoName)]
	if !t.measured(f) {
		return false
	}
	topic := t.hidden.hasher.Topic(d.Topic(r))
	if r.Region == NoName {
		return c.hideCold(f, topic, NoName, r.Count)
	}
	g := t.rows.families[t.family(false, r.Category, r.Region)]
	if !t.measured(g) {
		return false
	}
	key := t.hidden.in(topic, r.Region)
	if c.hot(g, key, r.Count) || !c.hideCold(f, topic, NoName, r.Count) {
		return false
	}
	c.hide(g, key, r.Region, r.Count)
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
	return t.measured(f) && c.hideCold(f, t.hidden.key(d.Topic(r), r.Region), r.Region, r.Count)
}

// hideCold hides a count of a key unless it is hot.
func (c *counting) hideCold(f *family, key sketch.Key, region NameID, n uint64) bool {
	if c.hot(f, key, n) {
		return false
	}
	c.hide(f, key, region, n)
	return true
}

// hide counts n for a key in what is hidden, and for its family's ghost.
func (c *counting) hide(f *family, key sketch.Key, region NameID, n uint64) {
	t := c.t
	f.add(n, c.from)
	ghost := t.rows.ghost(f, false)
	t.rows.edit(ghost).add(n, c.from)
	if len(t.hiding.keys) == t.hiding.most(t.hidden.memory) {
		t.noteHidden()
	}
	k := t.hiding.find(t, key, region)
	k.now[allWindow] = addSaturating(k.now[allWindow], n)
	t.hidden.fold(c.slice, &c.narrows, c.reach, key, n, &k.read)
	if c.slice == nil {
		return
	}
	c.slice.addTo(&f.ghostAt, ghost, n)
	for w := c.reach; w < allWindow; w++ {
		k.now[w] = addSaturating(k.now[w], n)
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
	if len(h.keys) == cap(h.keys) {
		h.keys = append(make([]hiddenKey, 0, min(h.most(t.hidden.memory), max(64, 2*cap(h.keys)))), h.keys...)
	}
	h.keys = append(h.keys, hiddenKey{key: key, region: region, before: t.unknownKey(t.hidden.filter.Add(key, int64(t.clock)))})
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
	clear(h.slots)
}

// hidingMost keys enter the floors together, fewer if so many took more than
// 1/hidingShare of the memory.
const (
	hidingMost  = 1 << 13
	hidingShare = 48
	slotBytes   = 4 * 4 // of a key: at most so much of slots
)

func (h *hiding) most(memory int64) int {
	return int(min(hidingMost, max(64, memory/hidingShare/(hiddenKeyBytes+slotBytes))))
}

// noteKey raises what is to be noted of the key's region to the key's bounds:
// what was hidden of it before and what has come, or what the sketches read
// now, which is no less than both. What would raise nothing is not computed.
func (t *Table) noteKey(k *hiddenKey, starts *[allWindow]messages.Micros) {
	f := t.hidingFloor(k.region, starts)
	l := lookup{t: t, key: k.key, read: &k.read, starts: starts, end: maxMoment}
	for w, n := range k.now {
		most := n
		if k.before&pristine == 0 && (k.before&clean == 0 || w == allWindow) && n > 0 {
			most = l.in(w, addSaturating(n, f.before[w]), f.most[w])
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
