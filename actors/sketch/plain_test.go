package sketch

// What the tests say of keys, one sketch at a time.

// Add counts n times a key in a slot.
func (c *CountMin) Add(slot int, k Key, n uint64) {
	var rows Rows
	k.Rows(c.depth, &rows)
	c.AddRows(slot, &rows, n)
}

// Estimate is a key's reading in a slot: at least its count there, unless
// saturated.
func (c *CountMin) Estimate(slot int, k Key) (n uint64, saturated bool) {
	var p places
	v := least(c.group(slot), c.places(k, &p), slot%lanes)
	return uint64(v), v == saturation
}

// Add counts a key as often as n says, and sets read to what it reads then.
func (s *Lines) Add(k Key, n, read *Readings) {
	var rows Rows
	k.Rows(s.depth, &rows)
	s.AddRows(&rows, n, read)
}
