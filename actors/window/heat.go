package window

import (
	"math"
	"math/bits"
)

// How hot a row is, is the greatest, over the windows and the cells it is a row
// of, of its count over the 100th count of that cell (over 1 where fewer rows have
// a count). What matters is never how recent a row is: a board of a long window
// would lose its rows.

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

// next is where the bucket behind that of n begins.
func next(n float64) float64 { return least(bucket(uint64(n)) + 1) }

// cellHeat is what makes a row of a cell hot.
type cellHeat struct {
	rows      int
	counts    *cellCounts      // nil: few rows
	n         [windows]uint32  // of rows with a count
	hundredth [windows]float32 // count that is as hot as 1
	cut       [windows]uint32  // rows below it in every window are cold
}

// boardRows is how many rows a board mostly shows.
const boardRows = 100

// cellCounts is a cell's rows by count, per window.
type cellCounts [windows][64 * steps]uint16

const (
	cellHeatBytes   = int64(20 + 12*windows)
	cellCountsBytes = int64(2 * windows * 64 * steps)
)

func (c *cellHeat) count(r *row) {
	for w := range windows {
		n := r.in(w)
		if n == 0 {
			continue
		}
		c.n[w]++
		if c.counts == nil {
			continue
		}
		if b := &c.counts[w][bucket(n)]; *b < math.MaxUint16 {
			*b++
		}
	}
}

// place is the count that the nth row has in a window, as far as the buckets tell,
// and how many have no less; 1 and all rows with a count where there are fewer.
func (c *cellHeat) place(nth, w int) (count float32, rows uint32) {
	if c.counts == nil || int(c.n[w]) < nth {
		return 1, c.n[w]
	}
	for b := len(c.counts[w]) - 1; b >= 0; b-- {
		if rows += uint32(c.counts[w][b]); int(rows) >= nth {
			return float32(least(b)), rows
		}
	}
	return 1, c.n[w]
}

// measured ends the measuring.
func (c *cellHeat) measured() {
	for w := range windows {
		c.hundredth[w], _ = c.place(boardRows, w)
	}
	c.counts = nil
}

// setCuts says from which count on a row is at least so hot.
func (c *cellHeat) setCuts(heat float64) {
	for w := range windows {
		c.cut[w] = uint32(min(math.Ceil(heat*float64(c.hundredth[w])), math.MaxUint32))
	}
}

func (c *cellHeat) cold(r *row) bool {
	for w := range windows {
		if r.in(w) >= uint64(c.cut[w]) {
			return false
		}
	}
	return true
}

// firsts protects the first rows of a cell in every window, whatever their heat.
type firsts struct {
	least [windows]float32 // count of the last of them
	rows  [windows]uint32  // with so much or more
}

// firstRows is how many that are: twice as many as a board mostly shows, so that
// those which are about to come in have counted from the beginning.
const firstRows = 2 * boardRows

func (f *firsts) measured(c *cellHeat) {
	for w := range windows {
		f.least[w], f.rows[w] = c.place(firstRows, w)
	}
}

// protect lets none of them be cold, as far as the buckets tell them from the
// others; where fewer have a count, all are first.
func (f *firsts) protect(c *cellHeat) {
	for w := range windows {
		cut := uint32(1)
		if f.rows[w] >= firstRows {
			cut = uint32(min(math.Ceil(next(float64(f.least[w]))), math.MaxUint32))
		}
		c.cut[w] = min(c.cut[w], cut)
	}
}

// spares tells whether enough rows with no smaller count are left in each window
// once a row is gone, and takes it for gone then.
func (f *firsts) spares(r *row) bool {
	for w := range windows {
		if n := r.in(w); n > 0 && float32(n) >= f.least[w] && f.rows[w] <= firstRows {
			return false
		}
	}
	for w := range windows {
		if n := r.in(w); n > 0 && float32(n) >= f.least[w] {
			f.rows[w]--
		}
	}
	return true
}

// heatOf is how hot a row is in the cell.
func (c *cellHeat) heatOf(r *row) (heat float64) {
	for w := range windows {
		heat = max(heat, float64(r.in(w))/float64(c.hundredth[w]))
	}
	return heat
}

// heats is how hot rows of one kind were that were looked at lately.
type heats struct {
	seen  histogram
	share float64 // of them, the coldest, are to leave in a round
	limit float64 // what is colder leaves
	// of rows were looked at in this round, and freed of them left.
	of, freed int
}

const (
	heatOne  = 1 << 20 // a heat of 1 in the histogram
	heatUnit = 16      // what a row counts there: halves are kept
)

func (h *heats) see(heat float64) {
	h.of++
	h.seen[bucket(uint64(1+heat*heatOne))] += heatUnit
}

// setLimit chooses the limit so that the share of what was seen is colder.
func (h *heats) setLimit() {
	total := uint32(0)
	for _, n := range h.seen {
		total += n
	}
	h.limit = 0
	if total == 0 {
		return
	}
	want, n := uint32(float64(total)*h.share), uint32(0)
	for b, here := range h.seen {
		if n += here; n > want {
			h.limit = least(b+1) / heatOne
			return
		}
	}
}

// age halves what was seen.
func (h *heats) age() {
	for b := range h.seen {
		h.seen[b] /= 2
	}
	h.of, h.freed = 0, 0
}
