package window

import (
	"math"
	"math/bits"
)

// sweep finds the rows that are to leave: the coldest. How hot a row is, is the
// greatest, over the windows and the cells it is a row of, of its count over
// the 100th count of that cell (over 1 in a cell with fewer rows). What matters
// is never how recent a row is: a board of a long window would lose its rows.
//
// It goes region by region, first measuring the cells' 100th counts, then
// letting go what is colder than heat, in portions of some pages, round and
// round. heat follows from what the rows looked at lately were like.
type sweep struct {
	region    NameID
	phase     phase
	pages     []uint32 // of the region at hand: plain ones first
	plain     int      // how many
	at        int
	cells     []cellHeat   // any category, then by category
	heat      [2]float64   // of topics' rows, of regional ones
	rounds    int          // complete ones
	of, freed [2]int       // rows in this round, and those that left
	looked    int          // rows that could have, ever
	steps     int          // places looked at, ever, and what goes with it
	want      int          // how many rows the next batch should have
	seen      [2]histogram // heats of the rows looked at lately
	boost     [2]float64   // of the heats, while rounds free too little
	lift      float64      // of topics' rows' heat, while they are much colder
	left      int          // rows so far
	batches   int
	batch     leaving
}

type phase uint8

const (
	gather phase = iota
	measure
	choose
)

// histogram counts rows by how great something is: buckets steps a doubling.
type histogram [64 * steps]uint32

const steps = 4

// bucket is the logarithm of n ≥ 1.
func bucket(n uint64) int {
	b := bits.Len64(n) - 1
	return b*steps + int((n<<(63-b))<<1>>62)
}

// least is the smallest number of a bucket.
func least(b int) float64 {
	return math.Ldexp(1+float64(b%steps)/steps, b/steps)
}

// cellHeat is what makes a row of a cell hot.
type cellHeat struct {
	counts    [windows][64 * steps]uint8 // rows by count; 255: that many or more
	hundredth [windows]float64
	cut       [windows]uint64 // rows below it in every window are cold
	rows      int
}

const cellHeatBytes = int64(windows * (64*steps + 16))

func (s *sweep) bytes() int64 {
	return int64(cap(s.cells))*cellHeatBytes + int64(cap(s.pages))*4 + int64(cap(s.batch.rows))*leaverBytes + int64(cap(s.batch.chosen))*goerBytes
}

const (
	// sweepPages is how many pages a portion looks at.
	sweepPages = 16
	// leaveRows is how many rows leave together, fewer where so many would take
	// more than 1/leaveShare of the memory while they do.
	leaveRows  = 2048
	leaveLeast = 128
	leaveShare = 64
	// lookMost places and lookPerRow for each new row are looked at at a time.
	lookMost   = 1 << 16
	lookPerRow = 2 * heatShare
	// compactMost is how many chunks of names are compacted at a time.
	compactMost = 4
	// A round should let one row in heatShare go.
	heatShare = 8
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
	if used > limit-limit/4 {
		t.hidden.begin(t.clock) // what it takes is to be reckoned with
	}
	over := used - limit
	if over <= 0 || t.few() {
		if t.sweep.rounds == 0 && over > -limit/4 { // be ready
			t.look4heat(newRows)
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
		most += 2 * newRows
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
}

// few tells whether the rows stay, whatever else takes the memory: three eighths are
// theirs. What cannot leave, cells with their totals and sketches, may take more
// than the others; many cells in little memory then take more than was given,
// rather than to have no rows at all.
func (t *Table) few() bool { return t.leavable() <= t.hidden.memory/8*3 }

// look4heat measures ahead of need, in proportion to what comes.
func (t *Table) look4heat(newRows int) {
	for n := 0; n <= newRows; n += pageRows {
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

// gatherRegion lists the pages of a region.
func (t *Table) gatherRegion() {
	s := &t.sweep
	s.at, s.pages, s.cells = 0, s.pages[:0], s.cells[:0]
	plain := t.rows.plain[s.region]
	for _, f := range plain {
		s.pages = append(s.pages, f.pages...)
	}
	s.plain = len(s.pages)
	if s.plain == 0 {
		return
	}
	n := t.categories.Len() + int(firstName)
	for c := range n {
		if f := t.rows.family(true, NameID(c), s.region); f != nil {
			s.pages = append(s.pages, f.pages...)
		}
	}
	for range n + 1 {
		s.cells = append(s.cells, cellHeat{})
	}
}

// measurePage counts the rows of a page in the cells they are rows of.
func (t *Table) measurePage(p uint32) {
	s, pg := &t.sweep, &t.rows.pages[p]
	s.steps += len(pg.rows)
	if pg.region != s.region {
		return // its rows have left since
	}
	f := t.rows.families[pg.family]
	any, narrow := s.cell(true, NoName), s.cell(false, f.category)
	for i := range pg.rows {
		r := &pg.rows[i]
		if !f.child {
			any.count(r)
		}
		if f.child || r.link == 0 {
			narrow.count(r)
		}
	}
}

// cell is what is known of a cell; one that is younger than the measuring
// shares with category "other".
func (s *sweep) cell(any bool, category NameID) *cellHeat {
	switch {
	case any:
		return &s.cells[0]
	case 1+int(category) < len(s.cells):
		return &s.cells[1+category]
	}
	return &s.cells[1+OtherName]
}

func (c *cellHeat) count(r *row) {
	c.rows++
	for w := range windows {
		if n := r.in(w); n > 0 {
			if b := &c.counts[w][bucket(n)]; *b < math.MaxUint8 {
				*b++
			}
		}
	}
}

// setCuts ends the measuring of a region.
func (t *Table) setCuts() {
	s := &t.sweep
	s.setHeat()
	for i := range s.cells {
		c := &s.cells[i]
		for w := range windows {
			c.hundredth[w] = 1
			if c.rows < 100 {
				continue
			}
			for b, n := len(c.counts[w])-1, 0; b >= 0; b-- {
				if n += int(c.counts[w][b]); n >= 100 {
					c.hundredth[w] = least(b)
					break
				}
			}
		}
		for w := range windows {
			c.cut[w] = uint64(min(math.Ceil(s.heat[s.kind()]*c.hundredth[w]), 1<<63))
		}
	}
	for _, f := range t.rows.plain[s.region] {
		any, narrow := s.cell(true, NoName), s.cell(false, f.category)
		for w := range windows {
			f.cuts.by[w] = uint32(min(any.cut[w], narrow.cut[w], math.MaxUint32))
		}
		f.cuts.at = admissionAt(t.line.open)
	}
}

// kind is whose rows the region at hand has: topics' (0) or regional ones.
func (s *sweep) kind() int {
	if s.region == NoName {
		return 0
	}
	return 1
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

// setHeat chooses the heat from what was seen lately.
func (s *sweep) setHeat() {
	k := s.kind()
	s.heat[k] = 0
	if s.rounds == 0 {
		return
	}
	seen := &s.seen[k]
	total := uint32(0)
	for _, n := range seen {
		total += n
	}
	want, n, b := total/heatShare, uint32(0), 0
	for b < len(seen)-1 && n+seen[b] <= want {
		n += seen[b]
		b++
	}
	s.heat[k] = max(s.boost[k], 1) * least(b+1) / heatOne
	if k == 0 {
		s.heat[k] *= max(s.lift, 1)
	}
}

// heatOne is a heat of 1 in the histogram of heats.
const heatOne = 1 << 20

// choosePage takes the cold rows of a page into the batch.
func (t *Table) choosePage(p uint32) {
	s, pg := &t.sweep, &t.rows.pages[p]
	s.steps += len(pg.rows)
	if pg.region != s.region || pg.child {
		return
	}
	for i := range pg.rows {
		r := &pg.rows[i]
		if s.region == NoName && t.topics.at(r.topic).regions > 0 {
			continue
		}
		s.looked++
		s.of[s.kind()]++
		if i&7 == int(p&7) {
			s.seen[s.kind()][bucket(uint64(1+t.heatOf(pg, r)*heatOne))]++
		}
		if t.cold(pg, r) {
			s.freed[s.kind()]++
			s.batch.add(t, pg.id(p, i))
		}
	}
}

// cold tells whether a plain row and its children are below the cut.
func (t *Table) cold(pg *page, r *row) bool {
	s := &t.sweep
	if !s.cell(true, NoName).cold(r) {
		return false
	}
	if r.link == 0 {
		return s.cell(false, pg.category).cold(r)
	}
	for link := r.link; link != 0; link = t.rows.at(link).link {
		if !s.cell(false, t.rows.familyOf(link).category).cold(t.rows.at(link)) {
			return false
		}
	}
	return true
}

func (c *cellHeat) cold(r *row) bool {
	for w := range windows {
		if r.in(w) >= c.cut[w] {
			return false
		}
	}
	return true
}

// heatOf is how hot a plain row is, without its children.
func (t *Table) heatOf(pg *page, r *row) (heat float64) {
	s := &t.sweep
	any, narrow := s.cell(true, NoName), s.cell(false, pg.category)
	for w := range windows {
		n := r.in(w)
		h := float64(n) / any.hundredth[w]
		if r.link == 0 {
			h = max(h, float64(n)/narrow.hundredth[w])
		}
		heat = max(heat, h)
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
	// A round should let a part of all go; where it did not, the kind that held,
	// and if none did, regional rows: there are few that many topics' wait for.
	tooFew := s.rounds > 1 && 4*heatShare*(s.freed[0]+s.freed[1]) <= t.rows.n-t.rows.ghostRows
	held := [2]bool{4*heatShare*s.freed[0] <= s.of[0], 4*heatShare*s.freed[1] <= s.of[1]}
	held[1] = held[1] || !held[0]
	for k := range s.boost {
		if tooFew && held[k] {
			s.boost[k] = 2 * max(s.boost[k], 1)
		} else {
			s.boost[k] = 1
		}
	}
	s.of, s.freed = [2]int{}, [2]int{}
	t.balance()
	for k := range s.seen {
		for b := range s.seen[k] {
			s.seen[k][b] /= 2
		}
	}
}

// balance lifts the heat of topics' rows step by step while most rows are theirs:
// as each kind loses a part of its own, one could crowd the other out.
func (t *Table) balance() {
	s := &t.sweep
	if 3*t.rows.topical > t.rows.n-t.rows.ghostRows && !t.reserved() {
		s.lift = min(liftMost, liftStep*max(s.lift, 1))
	} else {
		s.lift = max(1, s.lift/liftStep)
	}
}

const liftStep, liftMost = 1.5, 1 << 10
