package window

// WatchedBytes is what the candidate sets take, and how much they may.
func (t *Table) WatchedBytes() (n, limit int64) { return t.watches.bytes(), t.watchedLimit() }

// WatchedFor is for how many rows the sets are made, all together.
func (t *Table) WatchedFor() (k int) {
	for _, s := range t.watches.sets {
		k += s.K
	}
	return k
}
