package window

// Unwatch drops every candidate set, so that the next board is a cold one.
func (t *Table) Unwatch() {
	for len(t.watches.sets) > 0 {
		t.unwatch(0)
	}
}
