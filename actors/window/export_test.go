package window

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
	t.rows.at(id).all += n
	t.rows.familyOf(id).all += n
}

// SetCredit sets how many entries may be read in merges; below 0, so many are
// to be earned first.
func (t *Table) SetCredit(entries int) { t.merge.credit = entries }

// Merging tells whether a merge is under way.
func (t *Table) Merging() bool { return len(t.merge.sources) > 0 }
