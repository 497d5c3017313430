package window

import "fmt"

// Unwatch drops every candidate set, so that the next board is a cold one.
func (t *Table) Unwatch() {
	for len(t.watches.sets) > 0 {
		t.unwatch(0)
	}
}

// Fills is how often a cell was scanned for candidates.
func (t *Table) Fills() int { return t.watches.fills }

// Raise adds n to the total of a topic's T row, and to no slice.
func (t *Table) Raise(name string, n uint64) {
	topic, _, _ := t.findTopic(name)
	id := t.topics.at(topic).row
	t.rows.edit(id).all += n
	t.rows.familyOf(id).all += n
}

// Families is how many cells have rows of their own.
func (t *Table) Families() int { return len(t.rows.families) }

// Left is how many rows have left.
func (t *Table) Left() int { return t.sweep.left }

// Hide has counts of keys without a row hidden in the next delta, as if the
// sweep had found that a row is cold below cut.
func (t *Table) Hide(cut uint64) {
	for _, f := range t.rows.families {
		for w := range f.cuts.by {
			f.cuts.by[w] = uint32(cut)
		}
		f.cuts.at = unadmitted // never old
	}
	t.hiding.pressed = t.hidden.sketches != nil
	t.hiding.topics = t.hiding.pressed
}

// Drawn is how often a count was weighed, and might have been hidden.
func (t *Table) Drawn() int { return t.hiding.weighed }

// Room is bytes that new rows can have.
func (t *Table) Room() int64 { return t.room() }

// Sweep tells how the sweep is doing.
func (t *Table) Sweep() string {
	s := &t.sweep
	return fmt.Sprintf("heat %.3g, rounds %d, looked %d, left %d, batches %d", [2]float64{s.kinds[0].limit, s.kinds[1].limit}, s.rounds, s.looked, s.left, s.batches)
}

// SetCredit sets how many entries may be read in merges; below 0, so many are
// to be earned first.
func (t *Table) SetCredit(entries int) { t.merge.credit = entries }

// Merging tells whether a merge is under way.
func (t *Table) Merging() bool { return len(t.merge.sources) > 0 }

// Leave makes rows leave, as the sweep would: those of a topic only once none
// of its regions has one.
func (t *Table) Leave(chosen func() bool) {
	l := &t.sweep.batch
	for _, regional := range []bool{true, false} {
		for p := range t.rows.pages {
			page := &t.rows.pages[p]
			if page.child || page.family == ghostFamily || (page.region != NoName) != regional {
				continue
			}
			for i := range page.rows {
				r := &page.rows[i]
				if (regional || t.topics.at(r.topic).regions == 0) && chosen() {
					l.add(t, page.id(uint32(p), i))
				}
			}
		}
		t.sweep.left += len(l.chosen)
		t.leave(l)
	}
	t.topics.compact()
}

// Tidy moves topics and names together, as far as that goes, and tells how many
// places of topics are given back.
func (t *Table) Tidy() int {
	held := t.topics.records.held
	for range 100 {
		t.moveTopics()
		t.topics.compact()
	}
	return held - t.topics.records.held
}

// Lists is how many entries slices' lists have, and how many of their bytes are
// dead.
func (t *Table) Lists() (entries, dead int) {
	for _, s := range t.line.slices {
		entries, dead = entries+s.list.n, dead+s.list.dead
	}
	return entries, dead
}
