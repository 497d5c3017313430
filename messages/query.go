package messages

// BoardQuery asks for the top K of a cell in a window that ends now.
type BoardQuery struct {
	Window Window
	Cell   Cell
	K      int // 1 … MaxK
	// After makes the answer wait until everything before it is counted.
	After Position
	// Exclude are topics to leave out; the board is filled up to K behind them.
	Exclude []string
	// MaxPerCategory bounds the rows whose leading category, over all regions,
	// is the same; 0: no bound. Topics without a category are not bounded.
	MaxPerCategory int
}

// MaxK bounds the rows of a board.
const MaxK = 1000

// CountQuery asks how often each of some topics occurred.
type CountQuery struct {
	Topics []string // 1 … 1000
	Window Window
	Cell   Cell
	After  Position
}

// RankQuery asks for a topic's rank and its neighbours.
type RankQuery struct {
	Topic  string
	Window Window
	Cell   Cell
	Around int // rows above and rows below, 0 … 100
	After  Position
}

// SeriesQuery asks how topics' counts developed.
type SeriesQuery struct {
	Topics []string // at most 1,001; "" is the cell's total
	// Top asks, before Topics, for the first Top topics of the very interval
	// that the points cover; 0: none.
	Top         int
	Window      Window // not all
	Granularity Micros
	Cell        Cell
	After       Position
}

// TopicsQuery asks for tracked topics that begin with a prefix.
type TopicsQuery struct {
	Prefix string
	Window Window // counts and order are of this window
	Limit  int    // 1 … MaxK
	After  Position
}

// CellsQuery asks for the categories and regions with their totals.
type CellsQuery struct {
	Window Window
	After  Position
}

// KeyQuery asks whether an Idempotency-Key was seen.
type KeyQuery struct {
	Key      string
	BodyHash BodyHash
	// Applied: a block under the key is counted already. The answer is what it
	// met, whatever its age by now: KeySeen with the position of that very block
	// if it was the first.
	Applied bool
}
