package window

import "fmt"

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
	if c.reach = allWindow; c.slice != nil {
		c.reach, c.narrows = 0, narrowsOf(c.slice.start)
		for c.reach < allWindow && t.floorStart(c.reach) > c.slice.start {
			c.reach++
		}
	}
	if c.slice != nil && at < t.line.open {
		t.merge.due = true
		c.late = at < t.line.open-fresh
	}
	var found [resolveRows]resolved
	for len(rows) > 0 {
		some := rows[:min(len(rows), resolveRows)]
		if c.slice != nil && t.hidden.on {
			c.slice.spare(&t.scratch.sorter)
		}
		t.resolve(d, some, &found)
		c.made = 0
		for i := range some {
			c.add(d, &some[i], &found[i])
		}
		rows = rows[len(some):]
	}
}

// newTopic makes a topic with its T row.
func (t *Table) newTopic(hash uint64, name []byte, category NameID) topicID {
	id := t.topics.add(hash, name)
	t.topics.edit(id).row = t.rows.add(id, hash, t.family(false, category, NoName), t.admit(id, NoName))
	return id
}

// family finds or makes a family.
func (t *Table) family(child bool, category, region NameID) uint32 {
	key := familyKey{category, region, child}
	at := t.rows.byKey.find(&key, t.rows.families)
	if i := t.rows.byKey[at]; i != 0 {
		return i - 1
	}
	i := uint32(len(t.rows.families))
	f := &family{familyKey: key, index: i}
	t.rows.families = append(t.rows.families, f)
	t.rows.byKey[at] = i + 1
	t.rows.byKey = t.rows.byKey.grown(t.rows.families)
	t.rows.bytes += familyBytes
	f.narrow = t.watches.byCell[cell{category: category, region: region}]
	if !child {
		t.rows.plain[region] = append(t.rows.plain[region], f)
		f.wide = t.watches.byCell[cell{any: true, region: region}]
	} else {
		t.rows.children[region] = append(t.rows.children[region], f)
	}
	return i
}

// counting adds to one slice and the windows from the from-th on.
type counting struct {
	t       *Table
	slice   *slice // nil: too old to be kept, counts in "all" only
	from    int
	reach   int // as from, for the floors
	narrows narrows
	made    int  // rows since the last resolve
	late    bool // rows made at the same time would not be expected in the slice
}

// add counts one row of a delta.
func (c *counting) add(d *Delta, r *DeltaRow, found *resolved) {
	t := c.t
	if c.slice != nil {
		c.slice.total = addSaturating(c.slice.total, r.Count)
	}
	if found.topic == 0 {
		var topic topicID
		known := false
		if !found.unknown || c.made > 0 {
			topic, known = t.topics.find(r.Hash, d.Topic(r))
		}
		if !known && c.hideTopic(d, r) {
			return
		}
		if !known {
			topic = t.newTopic(r.Hash, d.Topic(r), r.Category)
			c.made++
		}
		found.topic, found.plain = topic+1, t.topics.at(topic).row
	}
	topic := found.topic - 1
	c.addKey(topic, found.plain, r, NoName)
	if r.Region == NoName {
		return
	}
	if found.inRegion == 0 {
		if !found.alone || c.made > 0 {
			found.inRegion = t.rows.findPlain(topic, r.Hash, r.Region)
		}
		if found.inRegion == 0 {
			if c.hideRegional(d, r) {
				return
			}
			found.inRegion = t.newRegional(topic, r, found.family)
			c.made++
		}
	}
	c.addKey(topic, found.inRegion, r, r.Region)
}

// newRegional makes the TR row of a delta's row, in the family whose index + 1 is
// known; 0: it is not.
func (t *Table) newRegional(topic topicID, r *DeltaRow, family uint32) rowID {
	t.topics.edit(topic).regions++
	if family == 0 {
		family = t.family(false, r.Category, r.Region) + 1
	}
	return t.rows.add(topic, r.Hash, family-1, t.admit(topic, r.Region))
}

// addKey counts a delta's row under a plain row and, if that is forked, under
// the category's child row.
func (c *counting) addKey(topic topicID, plain rowID, r *DeltaRow, region NameID) {
	t := c.t
	p := &t.rows.pages[plain>>pageShift]
	if p.at(plain).link == 0 {
		if p.category == r.Category {
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
	t.rows.forked(t.rows.familyOf(plain)).add(r.Count, c.from)
}

// addRow counts n under one row.
func (c *counting) addRow(id rowID, n uint64) {
	p := c.t.rows.own(id >> pageShift)
	r, f := p.at(id), c.t.rows.families[p.family]
	r.add(n, c.from)
	f.add(n, c.from)
	if c.slice != nil {
		c.slice.add(id, n)
		if c.late {
			p.oldest = min(p.oldest, c.slice.start)
		}
	}
	if f.wide != nil || f.narrow != nil {
		c.t.notice(id, r, f, c.from, n)
	}
}
