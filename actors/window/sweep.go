package window

// sweep finds the rows that are to leave: the coldest. It goes region by region,
// first measuring the cells' 100th counts, then letting go what is colder than a
// limit, in portions of some pages, round and round. The limit follows from how
// hot the rows were that it looked at lately, topics' and regional ones apart.
type sweep struct {
	region  NameID
	phase   phase
	pages   []uint32 // of the region at hand: plain ones first
	plain   int      // how many
	at      int
	any     cellHeat   // of the region at hand
	cells   []cellHeat // of the region's categories that have rows
	cellOf  []uint32   // by category: its index in cells + 1
	kinds   [2]heats   // topics' rows, regional ones
	firsts  firsts
	rounds  int // complete ones
	looked  int // rows that could have left, ever
	steps   int // places looked at, ever, and what goes with it
	want    int // how many rows the next batch should have
	left    int // rows so far
	batches int
	batch   leaving
}

type phase uint8

const (
	gather phase = iota
	measure
	choose
)

func newSweep() sweep {
	var s sweep
	for k := range s.kinds {
		s.kinds[k].share = heatShare
	}
	return s
}

func (s *sweep) bytes() int64 {
	n := int64(cap(s.cells))*cellHeatBytes + int64(cap(s.pages)+cap(s.cellOf))*4 + int64(cap(s.batch.rows))*leaverBytes + int64(cap(s.batch.chosen))*goerBytes
	for i := range s.cells {
		if s.cells[i].counts != nil {
			n += cellCountsBytes
		}
	}
	return n
}

const (
	// sweepPages is how many pages a portion looks at.
	sweepPages = 16
	// leaveRows is how many rows leave together, fewer where so many would take
	// more than 1/leaveShare of the memory while they do.
	leaveRows  = 2048
	leaveLeast = 32
	leaveShare = 64
	// lookMost places and lookPerRow for each new row are looked at at a time.
	lookMost   = 1 << 16
	lookPerRow = 16
	// compactMost is how many chunks of names are compacted at a time.
	compactMost = 32
	// heatShare is the part of the rows looked at that should leave in a round;
	// shareMost the most.
	heatShare, shareMost = 1.0 / 8, 1.0 / 2
)

// shrink makes rows leave while the table holds more than it may; newRows have
// come since the last time. A little more than needed leaves, so that it is not
// called for every row. Only a batch leaves at a time, and while there is too
// little memory what may have come besides; the rest is for the next time.
func (t *Table) shrink(newRows int) {
	if !t.hidden.on {
		return
	}
	limit := t.hidden.memory - t.hidden.memory/32
	used := t.used()
	t.press(used)
	t.rows.tight = used > limit/2
	if used > limit-limit/4 {
		t.hidden.begin(t.clock) // what it takes is to be reckoned with
	}
	over := used - limit
	if over <= 0 || t.few() {
		if t.sweep.rounds == 0 && over > -limit/4 { // be ready
			t.lookAhead(newRows)
		}
		return
	}
	s := &t.sweep
	goal := limit - limit/16
	idle := -1 // round that began when the last one had found nothing
	until := s.steps + lookMost + lookPerRow*newRows
	batch := int(min(leaveRows, max(leaveLeast, t.hidden.memory/leaveShare/(leaverBytes+goerBytes))))
	most := leaveRows
	if used > t.hidden.memory {
		most += newRows
	}
	for left := 0; left < most && s.steps < until; {
		used := t.used()
		if used <= goal || t.few() {
			break
		}
		s.want = int(min(int64(batch), 1+(used-goal)/max(1, used/int64(t.rows.n+1))))
		round, looked, first := s.rounds, s.looked, s.region
		// Not as far as where it began: no row is chosen twice.
		for len(s.batch.rows) < s.want && s.steps < until && (s.rounds == round || s.rounds == round+1 && s.region < first) {
			t.portion()
		}
		if whole := s.looked == looked && round == idle; whole {
			break // nothing is left that can leave
		} else if s.looked == looked {
			idle = s.rounds
		}
		left += len(s.batch.rows)
		s.left += len(s.batch.chosen)
		s.batches++
		t.leave(&s.batch)
	}
	for range compactMost {
		t.topics.compact()
	}
	t.moveTopics()
}

// few tells whether the rows stay, whatever else takes the memory: three eighths are
// theirs. What cannot leave, cells with their totals and sketches, may take more
// than the others; many cells in little memory then take more than was given,
// rather than to have no rows at all.
func (t *Table) few() bool { return t.leavable() <= t.hidden.memory/8*3 }

// lookAhead measures ahead of need, in proportion to what comes. In the first
// round no row is chosen; from then on one that was would have to leave at once.
func (t *Table) lookAhead(newRows int) {
	for n := 0; n <= newRows && t.sweep.rounds == 0; n += pageRows {
		t.portion()
	}
}

// portion looks at some pages.
func (t *Table) portion() {
	s := &t.sweep
	s.steps += pageRows
	switch s.phase {
	case gather:
		if t.gatherRegion(); s.plain == 0 || t.reserved() && s.rounds > 0 {
			t.nextRegion()
			return
		}
		s.phase = measure
	case measure:
		end := min(len(s.pages), s.at+sweepPages)
		for ; s.at < end; s.at++ {
			t.measurePage(s.pages[s.at])
		}
		if s.at == len(s.pages) {
			t.setCuts()
			s.at, s.phase = 0, choose
		}
	case choose:
		end := min(s.plain, s.at+sweepPages)
		s.want = max(s.want, 1)
		for ; s.at < end && len(s.batch.rows) < s.want; s.at++ {
			t.choosePage(s.pages[s.at])
		}
		if s.at == s.plain {
			t.nextRegion()
		}
	}
}

// gatherRegion lists the pages of a region, and its cells.
func (t *Table) gatherRegion() {
	s := &t.sweep
	s.at, s.pages = 0, s.pages[:0]
	clear(s.cells)
	s.cells = s.cells[:0]
	clear(s.cellOf)
	s.any = cellHeat{}
	for _, f := range t.rows.plain[s.region] {
		s.pages = append(s.pages, f.pages...)
		s.any.rows += t.rows.count(f)
		s.addCell(f.category, t.rows.count(f))
	}
	if s.plain = len(s.pages); s.plain == 0 {
		return
	}
	for _, f := range t.rows.children[s.region] {
		s.pages = append(s.pages, f.pages...)
		s.addCell(f.category, t.rows.count(f))
	}
	for i := range s.cells {
		s.begin(&s.cells[i])
	}
	s.begin(&s.any)
}

// addCell adds rows to the cell of a category.
func (s *sweep) addCell(category NameID, rows int) {
	if n := int(category) + 1; n > len(s.cellOf) {
		s.cellOf = append(s.cellOf, make([]uint32, n-len(s.cellOf))...)
	}
	if s.cellOf[category] == 0 {
		s.cells = append(s.cells, cellHeat{})
		s.cellOf[category] = uint32(len(s.cells))
	}
	s.cells[s.cellOf[category]-1].rows += rows
}

// begin makes ready to measure a cell, if it has enough rows.
func (s *sweep) begin(c *cellHeat) {
	if c.rows >= boardRows {
		c.counts = new(cellCounts)
	}
}

// cell is what is known of a category's cell; one that is younger than the
// measuring is taken for the one of all categories.
func (s *sweep) cell(category NameID) *cellHeat {
	if int(category) < len(s.cellOf) && s.cellOf[category] != 0 {
		return &s.cells[s.cellOf[category]-1]
	}
	return &s.any
}

// measurePage counts the rows of a page in the cells they are rows of.
func (t *Table) measurePage(p uint32) {
	s, pg := &t.sweep, &t.rows.pages[p]
	s.steps += len(pg.rows)
	if pg.region != s.region {
		return // its rows have left since
	}
	t.rows.fit(pg)
	narrow := s.cell(pg.category)
	for i := range pg.rows {
		r := &pg.rows[i]
		if !pg.child {
			s.any.count(r)
		}
		if (pg.child || r.link == 0) && narrow != &s.any {
			narrow.count(r)
		}
	}
}

// kind is that of the region at hand.
func (s *sweep) kind() *heats {
	if s.region == NoName {
		return &s.kinds[0]
	}
	return &s.kinds[1]
}

// setCuts ends the measuring of a region.
func (t *Table) setCuts() {
	s := &t.sweep
	kind := s.kind()
	if kind.limit = 0; s.rounds > 0 {
		kind.setLimit()
	}
	s.firsts.measured(&s.any)
	s.any.measured()
	s.any.setCuts(kind.limit)
	if s.region == NoName {
		s.firsts.protect(&s.any)
	}
	for i := range s.cells {
		s.cells[i].measured()
		s.cells[i].setCuts(kind.limit)
	}
	for _, f := range t.rows.plain[s.region] {
		narrow := s.cell(f.category)
		for w := range windows {
			f.cuts.by[w] = min(s.any.cut[w], narrow.cut[w])
		}
		f.cuts.at = admissionAt(t.line.open)
	}
}

// reserved tells whether no row of the region at hand is to leave. Topics' rows
// have a quarter of the memory for themselves: they are what most questions
// need, and what regional rows cannot do without.
func (t *Table) reserved() bool {
	return t.sweep.region == NoName && t.topicsHaveLittle()
}

// topicsHaveLittle tells whether topics' rows take less than what is theirs.
func (t *Table) topicsHaveLittle() bool {
	return 4*t.rows.topical < t.rows.n-t.rows.ghostRows
}

// choosePage takes the cold rows of a page into the batch.
func (t *Table) choosePage(p uint32) {
	s, pg := &t.sweep, &t.rows.pages[p]
	s.steps += len(pg.rows)
	if pg.region != s.region || pg.child {
		return
	}
	kind := s.kind()
	mask := sampled(t.rows.n)
	for i := range pg.rows {
		r := &pg.rows[i]
		if s.region == NoName && t.topics.at(r.topic).regions > 0 {
			continue
		}
		s.looked++
		if (uint32(i)^p)&mask == 0 {
			kind.see(t.heatOf(pg, r))
		}
		if t.cold(pg, r) && (s.region != NoName || s.firsts.spares(r)) {
			kind.freed++
			s.batch.add(t, pg.id(p, i))
		}
	}
}

// sampled is a mask of the rows whose heat is noted: all of few, one in eight of
// many.
func sampled(rows int) uint32 {
	if rows < 1<<14 {
		return 0
	}
	return 7
}

// cold tells whether a plain row and its children are colder than the limit.
func (t *Table) cold(pg *page, r *row) bool {
	s := &t.sweep
	if !s.any.cold(r) {
		return false
	}
	if r.link == 0 {
		return s.cell(pg.category).cold(r)
	}
	for link := r.link; link != 0; link = t.rows.at(link).link {
		if !s.cell(t.rows.familyOf(link).category).cold(t.rows.at(link)) {
			return false
		}
	}
	return true
}

// heatOf is how hot a plain row and its children are.
func (t *Table) heatOf(pg *page, r *row) float64 {
	s := &t.sweep
	heat := s.any.heatOf(r)
	if r.link == 0 {
		return max(heat, s.cell(pg.category).heatOf(r))
	}
	for link := r.link; link != 0; link = t.rows.at(link).link {
		heat = max(heat, s.cell(t.rows.familyOf(link).category).heatOf(t.rows.at(link)))
	}
	return heat
}

// nextRegion goes on; after the last one a round is over.
func (t *Table) nextRegion() {
	s := &t.sweep
	s.phase = gather
	if s.region++; int(s.region) < t.regions.Len()+int(firstName) {
		return
	}
	s.region = 0
	s.rounds++
	t.balance()
	for k := range s.kinds {
		s.kinds[k].age()
	}
}

// balance sets how many rows of each kind are to leave in a round: more of
// topics' while over a third of all are theirs, since one kind could crowd the
// other out; and more regional ones while too few leave, since topics' wait for
// those.
func (t *Table) balance() {
	s := &t.sweep
	topics, regional := &s.kinds[0], &s.kinds[1]
	rows := t.rows.n - t.rows.ghostRows
	few := s.rounds > 1 && 4*(topics.freed+regional.freed) <= int(heatShare*float64(rows))
	if 3*t.rows.topical > rows {
		topics.raise()
	} else {
		topics.restore()
	}
	if few {
		regional.raise()
	} else {
		regional.restore()
	}
}

func (h *heats) raise() { h.share = min(shareMost, 2*h.share) }

// restore brings the share nearer to what it was.
func (h *heats) restore() { h.share = max(heatShare, h.share/2) }
