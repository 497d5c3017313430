package rank

// Candidates are the rows of one cell that stand at or before a threshold in
// the order of one window. A count rises only by being added to, and then Take
// is called; a row whose count falls stays until its owner drops it (Keep). So
// every row at or before the threshold is always in, and the first k rows can
// be told from the candidates as long as k of them are left.
//
// The threshold is a place in the board's order, a count and a name: however
// many rows tie, it can be set so that just as many rows as wanted are before
// it.
type Candidates struct {
	// K is the most rows asked for since the threshold was set.
	K int
	// last is the threshold; open: there is none, every row with a count is in.
	last Item
	name []byte // of last, so that it outlives its row
	open bool

	rows []uint32
	slot []uint32 // open addressing over rows: row, 0 is free; a power of two
}

// Want is how many items Refill should get: twice as many as are asked for, so
// that counts can fall a good deal before the cell is scanned anew.
func (c *Candidates) Want() int { return 2*c.K + 32 }

// Full tells that so many rows have come in that the threshold should rise.
func (c *Candidates) Full() bool { return len(c.rows) > 4*c.Want() }

// Least is the count below which a row is no candidate.
func (c *Candidates) Least() uint64 {
	if c.open {
		return 1
	}
	return c.last.Count
}

// Open tells that every row with a count is in.
func (c *Candidates) Open() bool { return c.open }

// Rows are the candidates' rows, in no particular order.
func (c *Candidates) Rows() []uint32 { return c.rows }

// Reaches tells whether an item stands at or before the threshold.
func (c *Candidates) Reaches(names Names, it *Item) bool {
	if c.open || it.Count != c.last.Count || it.Prefix != c.last.Prefix {
		return it.Count > c.Least() || it.Count == c.Least() && (c.open || it.Prefix < c.last.Prefix)
	}
	return string(names.Name(it.Topic)) <= string(c.name)
}

// Take adds the item's row if it reaches the threshold and is not in yet.
func (c *Candidates) Take(names Names, it *Item) {
	if c.Reaches(names, it) && !c.has(it.Row) {
		c.add(it.Row)
	}
}

// Refill replaces the candidates by the cell's first rows, sorted; the last of
// them is the new threshold. whole: there is no other row with a count, and no
// threshold.
func (c *Candidates) Refill(names Names, sorted []Item, whole bool) {
	c.open = whole || len(sorted) == 0
	if !c.open {
		c.last = sorted[len(sorted)-1]
		c.name = append(c.name[:0], names.Name(c.last.Topic)...)
	}
	if cap(c.rows) > 8*c.Want() { // K was greater once
		c.rows, c.slot = nil, nil
	}
	c.clear()
	for i := range sorted {
		c.add(sorted[i].Row)
	}
}

// Keep drops all candidates but rows.
func (c *Candidates) Keep(rows []uint32) {
	c.clear()
	for _, r := range rows {
		c.add(r)
	}
}

// CandidateBytes is the most, about, that the candidates of a cell hold of which
// k rows are asked.
func CandidateBytes(k int) int64 {
	c := Candidates{K: k}
	return int64(4*c.Want()) * 4 * 4 // a row, and two to four slots
}

// Bytes is what the candidates hold.
func (c *Candidates) Bytes() int64 {
	return int64(cap(c.rows)+cap(c.slot))*4 + int64(cap(c.name)) + 128
}

func (c *Candidates) clear() {
	c.rows = c.rows[:0]
	clear(c.slot)
}

func (c *Candidates) has(row uint32) bool {
	if len(c.slot) == 0 {
		return false
	}
	mask := uint32(len(c.slot) - 1)
	for i := spread(row) & mask; c.slot[i] != 0; i = (i + 1) & mask {
		if c.slot[i] == row {
			return true
		}
	}
	return false
}

func (c *Candidates) add(row uint32) {
	c.rows = append(c.rows, row)
	if 2*len(c.rows) <= len(c.slot) {
		c.place(row)
		return
	}
	c.slot = make([]uint32, max(64, 2*len(c.slot)))
	for _, r := range c.rows {
		c.place(r)
	}
}

func (c *Candidates) place(row uint32) {
	mask := uint32(len(c.slot) - 1)
	i := spread(row) & mask
	for c.slot[i] != 0 {
		i = (i + 1) & mask
	}
	c.slot[i] = row
}

// spread makes neighbouring row ids stand apart.
func spread(row uint32) uint32 {
	h := row * 0x9e3779b1
	return h ^ h>>15
}
