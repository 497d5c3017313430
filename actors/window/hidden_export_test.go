package window

// SliceSketchBytes is what the sketches of kept slices take, all together.
func (t *Table) SliceSketchBytes() int64 {
	if t.hidden.sketches == nil {
		return 0
	}
	return t.hidden.sketches.Bytes()
}
