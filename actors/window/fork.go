package window

// fork is called when a plain row is seen under a second category: a child row
// takes over what was counted so far, all of it under the first one. Plain rows
// first seen without a category have nothing to hand over: no cell is "no
// category".
func (t *Table) fork(topic topicID, plain rowID, hash uint64) {
	f, total := t.rows.familyOf(plain), t.rows.at(plain).totals
	t.rows.forked(f).addAll(&total)
	if f.category == NoName {
		return // the second category's row begins the chain
	}
	child := t.addChild(topic, plain, hash, f.category, f.region)
	t.copyEntries(plain, child)
	t.rows.edit(child).totals = total
	g := t.rows.familyOf(child)
	g.addAll(&total)
	if g.narrow != nil {
		t.noticeNew(g.narrow, child)
	}
}

// addChild makes a child row of a plain one.
func (t *Table) addChild(topic topicID, plain rowID, hash uint64, category, region NameID) rowID {
	since := t.rows.since(plain)
	child := t.rows.add(topic, hash, t.family(true, category, region), since)
	p := t.rows.edit(plain)
	t.rows.edit(child).link, p.link = p.link, child
	return child
}

// copyEntries gives a child row its plain row's count in every slice, the
// youngest first, so that a young row costs a few look-ups only: when the
// total of the longest window is found, older slices hold nothing but what has
// left it.
func (t *Table) copyEntries(plain, child rowID) {
	const longest = allWindow - 1
	left := t.total(plain, t.rows.at(plain), longest)
	for i := len(t.line.slices) - 1; i >= 0; i-- {
		s := t.line.slices[i]
		inside := s.start >= t.starts[longest]
		if inside && left == 0 {
			i = t.line.search(t.starts[longest]) // go on with those outside
			continue
		}
		if n := s.count(plain, &t.scratch.sorter); n > 0 {
			s.add(child, n)
			if inside {
				left -= n
			}
		}
	}
}
