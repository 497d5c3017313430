package window

import (
	"fmt"
	"math"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// Config says what a table is made for.
type Config struct {
	// Hash is the keyed hash that DeltaRow.Hash holds of a topic. Required.
	Hash func(topic []byte) uint64
}

// Table is the state of one shard.
type Table struct {
	hash                func(topic []byte) uint64
	categories, regions *Names
	topics              topics
	rows                rows
	line                timeline
	clock               messages.Micros
	first               messages.Micros // start of the earliest slice with a count; maxMoment: none
	// starts is where the standard windows begin as of the clock: the totals
	// of a row are its counts from there on.
	starts [windows]messages.Micros

	merge   merge
	watches watches
	scratch scratch
}

// scratch is buffers that answers reuse.
type scratch struct {
	block     block
	selection rank.Selection
	streams   []stream
	ids       []rowID
	sorter    sorter
	waited    uint64 // see resolve
}

// New makes an empty table. Its clock stands at the epoch.
func New(cfg Config) *Table {
	if cfg.Hash == nil {
		panic("window: Config.Hash is missing")
	}
	t := &Table{
		hash:       cfg.Hash,
		categories: NewNames(),
		regions:    NewNames(),
		rows:       newRows(),
		first:      maxMoment,
		watches:    newWatches(),
	}
	t.setStarts()
	return t
}

// Clock is how far the table has slid.
func (t *Table) Clock() messages.Micros { return t.clock }

// First is the start of the earliest slice anything was counted in; false:
// nothing was.
func (t *Table) First() (messages.Micros, bool) { return t.first, t.first != maxMoment }

// Apply counts a delta: its names, then its rows as of its clock.
func (t *Table) Apply(d *Delta) {
	t.categories.Apply(&d.Categories)
	t.regions.Apply(&d.Regions)
	t.slide(d.Clock)
	for i := 0; i < len(d.Rows); {
		// Rows of one slice mostly stand together: find the slice once.
		j := i + 1
		for j < len(d.Rows) && d.Rows[j].Slice == d.Rows[i].Slice {
			j++
		}
		t.count(d, d.Rows[i:j])
		i = j
	}
	t.age()
	t.merge.credit += creditPerRow * len(d.Rows)
	t.work()
}

// Slide moves the table on to engine time e, ahead of the partition clock: the
// windows of a quiet partition slide by the node clock. Never backwards.
func (t *Table) Slide(e messages.Micros) {
	if e.Floor(messages.SliceLength) > t.line.open {
		t.age()
	}
	t.slide(e)
	t.work()
}

func (t *Table) slide(e messages.Micros) {
	if e <= t.clock {
		return
	}
	t.clock = e
	open := e.Floor(messages.SliceLength)
	if open == t.line.open {
		return
	}
	t.line.open = open
	old := t.starts
	t.setStarts()
	t.expire(&old)
	t.line.drop()
	t.cancelDropped()
	t.merge.credit += creditPerSlide
	t.merge.due = true
}

func (t *Table) setStarts() {
	for w, length := range messages.StandardWindows {
		t.starts[w] = Resolve(length, t.clock).Start
	}
}

// expire takes what has left the windows out of the totals.
func (t *Table) expire(old *[windows]messages.Micros) {
	for _, s := range t.line.between(old[allWindow-1], t.starts[0]) {
		// The longer a window, the earlier it begins: s leaves those from one
		// it was in to one it is no longer in.
		from, to := 0, allWindow
		for old[from] > s.start {
			from++
		}
		for to > from && t.starts[to-1] <= s.start {
			to--
		}
		if from < to {
			t.subtract(s, from, to)
		}
	}
}

// subtract takes a slice out of the totals of windows from … to−1.
func (t *Table) subtract(s *slice, from, to int) {
	t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
	b := &t.scratch.block
	for i := range t.scratch.streams {
		w := &t.scratch.streams[i]
		for _, more := w.page(); more; _, more = w.page() {
			w.read(b)
			t.subtractBlock(b, from, to)
		}
	}
}

func (t *Table) subtractBlock(b *block, from, to int) {
	p := &t.rows.pages[b.page]
	f := t.rows.families[p.family]
	var sum, forked uint64
	for i := range b.n {
		r, n := &p.rows[b.place[i]], b.count[i]
		for w := from; w < to; w++ {
			if r.total[w] == math.MaxUint64 { // that or more
				r.total[w] = t.recount(b.page<<pageShift|uint32(b.place[i]), Interval{t.starts[w], maxMoment})
				continue
			}
			r.total[w] -= n
		}
		sum += n
		if r.link != 0 {
			forked += n
		}
	}
	for w := from; w < to; w++ {
		f.subtract(w, sum, forked)
	}
}

// count adds rows of one slice.
func (t *Table) count(d *Delta, rows []DeltaRow) {
	at := rows[0].Slice
	if at > t.line.open {
		panic(fmt.Sprintf("window: a count at %d is later than its delta's clock %d", at, d.Clock))
	}
	t.first = min(t.first, at)
	c := counting{t: t, slice: t.line.at(at)}
	for t.starts[c.from] > at {
		c.from++
	}
	if c.slice != nil && at < t.line.open {
		t.merge.due = true
	}
	var found [resolveRows]resolved
	for len(rows) > 0 {
		some := rows[:min(len(rows), resolveRows)]
		t.resolve(d, some, &found)
		for i := range some {
			c.add(d, &some[i], &found[i])
		}
		rows = rows[len(some):]
	}
}

// topic finds or makes a topic with its T row.
func (t *Table) topic(hash uint64, name []byte, category NameID) topicID {
	id, ok := t.topics.find(hash, name)
	if !ok {
		id = t.topics.add(hash, name)
		t.topics.at(id).row = t.rows.add(id, hash, t.family(false, category, NoName))
	}
	return id
}

// family finds or makes a family.
func (t *Table) family(child bool, category, region NameID) uint32 {
	key := familyKey{child, category, region}
	if i, ok := t.rows.byKey[key]; ok {
		return i
	}
	i := uint32(len(t.rows.families))
	f := &family{index: i, child: child, category: category, region: region}
	t.rows.families = append(t.rows.families, f)
	t.rows.byKey[key] = i
	t.rows.bytes += familyBytes
	f.narrow = t.watches.byCell[cell{category: category, region: region}]
	if !child {
		t.rows.plain[region] = append(t.rows.plain[region], f)
		f.wide = t.watches.byCell[cell{any: true, region: region}]
	}
	return i
}

const familyBytes = 320

// counting adds to one slice and the windows from the from-th on.
type counting struct {
	t     *Table
	slice *slice // nil: too old to be kept, counts in "all" only
	from  int
}

// add counts one row of a delta.
func (c *counting) add(d *Delta, r *DeltaRow, found *resolved) {
	t := c.t
	if found.topic == 0 {
		topic := t.topic(r.Hash, d.Topic(r), r.Category)
		found.topic, found.plain = topic+1, t.topics.at(topic).row
	}
	topic := found.topic - 1
	if c.slice != nil {
		c.slice.total = addSaturating(c.slice.total, r.Count)
	}
	c.addKey(topic, found.plain, r, NoName)
	if r.Region == NoName {
		return
	}
	if found.inRegion == 0 {
		found.inRegion = t.plainIn(topic, r)
	}
	c.addKey(topic, found.inRegion, r, r.Region)
}

// plainIn finds or makes the TR row of a delta's row.
func (t *Table) plainIn(topic topicID, r *DeltaRow) rowID {
	if id := t.rows.findPlain(topic, r.Hash, r.Region); id != 0 {
		return id
	}
	return t.rows.add(topic, r.Hash, t.family(false, r.Category, r.Region))
}

// addKey counts a delta's row under a plain row and, if that is forked, under
// the category's child row.
func (c *counting) addKey(topic topicID, plain rowID, r *DeltaRow, region NameID) {
	t := c.t
	p := &t.rows.pages[plain>>pageShift]
	f, forked := t.rows.families[p.family], p.rows[plain&(pageRows-1)].link != 0
	if !forked {
		if f.category == r.Category {
			c.addRow(plain, r.Count)
			return
		}
		t.fork(topic, plain, r.Hash)
	}
	if r.Category != NoName {
		child := t.rows.findChild(topic, r.Hash, r.Category, region)
		if child == 0 {
			child = t.addChild(topic, plain, r.Hash, r.Category, region)
		}
		c.addRow(child, r.Count)
	}
	c.addRow(plain, r.Count)
}

// addRow counts n under one row.
func (c *counting) addRow(id rowID, n uint64) {
	t := c.t
	p := &t.rows.pages[id>>pageShift]
	r, f := &p.rows[id&(pageRows-1)], t.rows.families[p.family]
	for w := c.from; w < windows; w++ {
		r.total[w] = addSaturating(r.total[w], n)
		f.sum[w] = addSaturating(f.sum[w], n)
	}
	if !f.child && r.link != 0 {
		for w := c.from; w < windows; w++ {
			f.forked[w] = addSaturating(f.forked[w], n)
		}
	}
	if c.slice != nil {
		c.slice.add(id, n)
	}
	if f.wide != nil || f.narrow != nil {
		t.notice(id, r, f, c.from, n)
	}
}
