package rank

import "slices"

// Filter leaves topics out of a part: those in exclude and, if perCategory is
// positive, those that come behind perCategory others of the same leading
// category; topics without a category are not bounded. The board is made of what is left, so the part should hold more
// rows than the board is to have; where that was not enough the board is short
// and not exact, and a longer part may fill it up.
//
// What is certified of the filtered board stays true: an excluded topic is
// nobody's rival, and a topic beyond its category's share stays a rival unless
// every row kept in its place certainly comes before it. Where a row's category
// is not sure, it and what may come behind it may be on the board or not: nothing
// from there on is certified.
func Filter(p *Part, exclude []string, perCategory int) *Part {
	f := *p
	f.Rows = make([]Row, 0, len(p.Rows))
	excluded := slices.Sorted(slices.Values(exclude))
	kept := make(map[string][]int) // category → its rows in f.Rows
	for i := range p.Rows {
		r := &p.Rows[i]
		if _, found := slices.BinarySearch(excluded, r.Topic); found {
			continue
		}
		if perCategory > 0 && r.Unsure {
			f.LeaveOut(r.Count.Upper, "")
		}
		if perCategory > 0 && r.Category != "" {
			same := kept[r.Category]
			if len(same) == perCategory {
				if MayPrecede(r, &f.Rows[same[perCategory-1]]) {
					f.LeaveOut(r.Count.Upper, r.Topic)
				}
				continue
			}
			kept[r.Category] = append(same, len(f.Rows))
		}
		f.Rows = append(f.Rows, *r)
	}
	return &f
}
