package messages

// Count is what is known of one number: Lower ≤ true ≤ Upper, and Estimate
// lies between them.
type Count struct {
	Lower, Estimate, Upper uint64
}

// ExactCount is a number that is known.
func ExactCount(n uint64) Count { return Count{n, n, n} }

// Exact tells whether the number is known.
func (c Count) Exact() bool { return c.Lower == c.Upper }

// Add is the sum of two such numbers; it saturates.
func (c Count) Add(o Count) Count {
	return Count{addSaturating(c.Lower, o.Lower), addSaturating(c.Estimate, o.Estimate), addSaturating(c.Upper, o.Upper)}
}

func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return ^uint64(0)
}

// Moment says which stretch of time an answer is about: [Start, End), as of
// the engine time AsOf, which lies in it. For "all", Start is the first slice
// anything was counted in (AsOf's slice if nothing was).
type Moment struct {
	Start, End, AsOf Micros
}

// Errors in use by the sketches that answered; 0 while everything is exact.
type SketchError struct {
	Epsilon, Delta float64
}

// Raise makes e the greater of two errors: that of sketches of both.
func (e *SketchError) Raise(o SketchError) {
	e.Epsilon, e.Delta = max(e.Epsilon, o.Epsilon), max(e.Delta, o.Delta)
}

// Row is one topic of a board.
type Row struct {
	Topic string
	Count Count
	// Certified: the topic provably belongs to the true top K asked for.
	Certified bool
	// Category is the topic's leading category in the window ("" for none).
	// Filled only where the query needed it (MaxPerCategory).
	Category string
}

// Board is the top of a cell in a window. Rows are ranked by Lower, then by
// topic in byte order. Immutable; shared by all who asked.
type Board struct {
	Window Window
	Cell   Cell
	K      int
	Moment
	SketchError
	// Version follows from rows and bounds alone: equal versions, equal rows.
	Version string
	// Total is the sum over all topics of the cell.
	Total Count
	Rows  []Row // at most K
	// Certified is the largest n for which the first n rows are provably the
	// true top n as a set.
	Certified int
	// Exact: every row is exact and all are certified.
	Exact bool
	// Applied is what the answer has counted, at least.
	Applied Position
}

// Counts answers a CountQuery: one Count per topic, in its order.
type Counts struct {
	Moment
	SketchError
	Counts []Count
	Total  Count // of the cell
}

// Rank answers a RankQuery.
type Rank struct {
	Moment
	SketchError
	Lower, Upper int // 1 is the first; equal where the rank is certain
	Count        Count
	// Neighbours are up to Around rows above the topic, the topic, and up to
	// Around rows below it; First is the rank of the first of them.
	Neighbours []Row
	First      int
	Total      Count
}

// Series answers a SeriesQuery: per topic the same points, oldest first.
type Series struct {
	Moment
	SketchError
	Starts []Micros // start of each point; it ends a granularity later
	// Topics are those of Counts: the first of the interval if the query asked
	// for them, with their counts over all points in Top, then the query's own.
	Topics []string
	Top    []Row
	Counts [][]Count // per topic, per point
}

// Topics answers a TopicsQuery, greatest first.
type Topics struct {
	Moment
	SketchError
	Rows []Row
}

// Cells answers a CellsQuery: names in byte order with their totals.
type Cells struct {
	Moment
	SketchError
	Total      Count
	Categories []CellTotal
	Regions    []CellTotal
	// Folded: some values past the bound are in "other".
	CategoriesFolded, RegionsFolded bool
}

// CellTotal is the total of one category or region.
type CellTotal struct {
	Name  string
	Total Count
}

// KeyVerdict answers a KeyQuery.
type KeyVerdict struct {
	State KeyState
	// Stamp and Position are those of the first request with the key; set if
	// State is KeySeen. Position is encoded as Position.AppendTo does.
	Stamp    Micros
	Position []byte
	// Until is the end of the quarter of a dedup window in which the first was
	// seen; set with Position.
	Until Micros
}

// KeyState is what is known of an Idempotency-Key.
type KeyState uint8

// The states of an Idempotency-Key.
const (
	KeyNew      KeyState = 1 // not within the dedup window
	KeySeen     KeyState = 2 // with the same body
	KeyConflict KeyState = 3 // with another body
)
