package window

// Unwatch drops every candidate set, so that the next board is a cold one.
func (t *Table) Unwatch() {
	for len(t.watches.sets) > 0 {
		t.unwatch(0)
	}
}

// Fills is how often a cell was scanned for candidates.
func (t *Table) Fills() int { return t.watches.fills }

// Raise adds n to the totals of a topic's T row, and to no slice.
func (t *Table) Raise(name string, n uint64) {
	topic, _, _ := t.findTopic(name)
	id := t.topics.at(topic).row
	for w := range windows {
		t.rows.at(id).total[w] += n
		t.rows.familyOf(id).sum[w] += n
	}
}
