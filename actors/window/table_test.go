package window_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func newTable() *window.Table { return window.New(window.Config{Hash: hashOf}) }

func topOf(t *window.Table, w messages.Window, c messages.Cell, k int) *window.TopAsk {
	return &window.TopAsk{Window: w, E: t.Clock(), Cell: c, K: k}
}

// TestCandidatesFollowTheTraffic lets the traffic of a shard swell and fade
// over days and compares boards from candidates with boards from scans, each
// from a table of its own.
func TestCandidatesFollowTheTraffic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	warm, cold, b := newTable(), newTable(), newBatch(64, 64, hashOf)
	zipf := rand.NewZipf(r, 1.2, 4, 5000)
	clock := 1_700_000_000 * messages.Second
	cells := []messages.Cell{{}, {Category: "c1"}, {Region: "r1"}, {Category: "c2", Region: "r2"}}
	for step := range 600 {
		clock += 7 * messages.Minute
		day := 1 + math.Sin(float64(step)/33)
		for range int(day * day * 100) {
			i := (zipf.Uint64() + uint64(step)*3) % 5000
			b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("t", i), fmt.Sprint("c", (i+r.Uint64N(8)/7)%4), fmt.Sprint("r", i%3), 1})
		}
		d := b.flush(clock)
		warm.Apply(d)
		cold.Apply(d)
		for _, w := range messages.StandardWindows {
			for _, c := range cells {
				k := 20
				if step%50 == 0 {
					k = 100
				}
				cold.Unwatch()
				if got, want := warm.Top(topOf(warm, w, c, k)), cold.Top(topOf(cold, w, c, k)); !reflect.DeepEqual(got, want) {
					t.Fatalf("step %d, window %v, %+v:\n got %+v\nwant %+v", step, w, c, got, want)
				}
			}
		}
	}
	if fills := warm.Fills(); fills > 600*7*4/20 {
		t.Errorf("%d scans for %d boards: the candidates are of little use", fills, 600*7*4)
	}
}

// TestManyTiesStayFewCandidates floods a cell with topics that occurred once.
func TestManyTiesStayFewCandidates(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	for i := range 20_000 {
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprintf("t%05d", (i*7919)%20_000), "", "", 1})
		if i%500 == 0 {
			table.Apply(b.flush(clock))
			table.Top(topOf(table, messages.Window1h, messages.Cell{}, 10))
		}
	}
	table.Apply(b.flush(clock))
	p := table.Top(topOf(table, messages.Window1h, messages.Cell{}, 10))
	for i, row := range p.Rows {
		if want := fmt.Sprintf("t%05d", i); row.Topic != want {
			t.Errorf("row %d is %s, want %s", i, row.Topic, want)
		}
	}
	if n := table.Stats().Memory.Candidates; n > 8<<10 {
		t.Errorf("candidates hold %d bytes for a board of 10", n)
	}
}

// TestNewCellsJoinTheBoard: a topic whose category nobody had seen when the
// board was first asked for is on the board.
func TestNewCellsJoinTheBoard(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	for _, c := range []messages.Cell{{}, {Region: "r"}, {Category: "new"}, {Category: "new", Region: "r"}} {
		table.Top(topOf(table, messages.Window1h, c, 5))
	}
	for i, category := range []string{"old", "new", "newer"} {
		b.add(event{clock.Floor(messages.SliceLength), "t" + category, category, "r", uint64(3 - i)})
		table.Apply(b.flush(clock))
	}
	for c, want := range map[messages.Cell]int{{}: 3, {Region: "r"}: 3, {Category: "new"}: 1, {Category: "new", Region: "r"}: 1} {
		if p := table.Top(topOf(table, messages.Window1h, c, 5)); len(p.Rows) != want {
			t.Errorf("%+v: %+v", c, p.Rows)
		}
	}
}

// TestSmallCellsAreScannedOnce: a cell with fewer rows than asked for has no
// threshold to fall below.
func TestSmallCellsAreScannedOnce(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	for i := range 200 {
		clock += messages.Second
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("t", i%10), "c", "r", 1})
		table.Apply(b.flush(clock))
		table.Top(topOf(table, messages.Window5m, messages.Cell{Region: "r"}, 100))
	}
	if n := table.Fills(); n > 1 {
		t.Errorf("scanned %d times", n)
	}
}

// TestForkHandsOverWhatHasJustLeft: a moment ago the 30-day window still held
// a slice that has left it since; a row that forks now hands that over too.
func TestForkHandsOverWhatHasJustLeft(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	noon := 1_700_000_000 * messages.Second
	noon = noon.Floor(12 * messages.Hour)
	count := func(at messages.Micros, topic, category string, n uint64) {
		b.add(event{at.Floor(messages.SliceLength), topic, category, "", n})
		table.Apply(b.flush(at))
	}
	count(noon-30*messages.Day-messages.Hour, "t", "c", 5)
	count(noon-10*messages.Day, "another", "c", 0)
	count(noon-messages.Hour, "t", "c", 1)
	clock := noon + 5*messages.Second // begins at noon 30 days ago
	count(clock, "t", "another category", 1)
	for e, want := range map[messages.Micros]uint64{clock: 1, noon - messages.Second: 6} {
		q := &window.CountAsk{Topics: []string{"t"}, Window: messages.Window30d, E: e, Cell: messages.Cell{Category: "c"}}
		if p := table.Count(q); p.Counts[0] != messages.ExactCount(want) || p.Total != p.Counts[0] {
			t.Errorf("as of noon%+v: %+v, want %d", (e - noon).Duration(), p, want)
		}
	}
}

// TestIdleCandidatesAreDropped: a board that nobody asks for costs nothing.
func TestIdleCandidatesAreDropped(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	b.add(event{clock.Floor(messages.SliceLength), "t", "c", "r", 1})
	table.Apply(b.flush(clock))
	table.Top(topOf(table, messages.Window1h, messages.Cell{Region: "r"}, 10))
	for range 5000 {
		clock += messages.Second
		table.Apply(b.flush(clock))
	}
	if n := table.Stats().Memory.Candidates; n != 0 {
		t.Errorf("candidates hold %d bytes", n)
	}
}

// TestSlicesStayFew counts for eleven days without a pause and for forty years
// in leaps; the slices kept are those of the tiers.
func TestSlicesStayFew(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := messages.Micros(0)
	step := func(d messages.Micros) {
		clock += d
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("t", clock/messages.Second%50), "c", "r", 1})
		table.Apply(b.flush(clock))
	}
	for clock < 11*messages.Day {
		step(20 * messages.Second)
	}
	if n := table.Stats().Slices; n > 460 {
		t.Errorf("%d slices after eleven days", n)
	}
	for range 40 {
		step(365 * messages.Day)
	}
	if n := table.Stats().Slices; n > 1 {
		t.Errorf("%d slices after a year's leap", n)
	}
}

// TestMergeOutlivedByItsSlices: what is being merged when a silence ends may be
// kept no longer.
func TestMergeOutlivedByItsSlices(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	count := func() {
		for i := range 4000 {
			b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("t", i), "c", "", 1})
		}
		table.Apply(b.flush(clock))
		clock += messages.SliceLength
	}
	const never = -1 << 40
	for range 4 {
		table.SetCredit(never)
		count()
	}
	table.SetCredit(never)
	clock += 10 * messages.Minute
	table.Slide(clock)
	table.SetCredit(1000) // a part of what is to be merged
	table.Slide(clock)
	if !table.Merging() {
		t.Fatal("nothing is being merged")
	}
	clock += 60 * messages.Day
	count()
	count()
	table.Slide(clock + messages.Hour)
	p := table.Count(&window.CountAsk{Topics: []string{"t7"}, Window: messages.Window24h, E: clock + messages.Hour})
	if p.Counts[0] != messages.ExactCount(2) || p.Total != messages.ExactCount(8000) {
		t.Errorf("%+v", p)
	}
	if n := table.Stats().Slices; n > 2 {
		t.Errorf("%d slices", n)
	}
}

// TestTotalsThatOverflow: what has been counted for ever exceeds the greatest
// number, and stands there; the windows are still right.
func TestTotalsThatOverflow(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	count := func(n uint64) {
		b.add(event{clock.Floor(messages.SliceLength), "t", "c", "", n})
		b.add(event{clock.Floor(messages.SliceLength), "a smaller one", "c", "", 1})
		table.Apply(b.flush(clock))
	}
	check := func(w messages.Window, want uint64) {
		t.Helper()
		for _, c := range []messages.Cell{{}, {Category: "c"}} {
			q := &window.CountAsk{Topics: []string{"t"}, Window: w, E: clock, Cell: c}
			if p := table.Count(q); p.Counts[0] != messages.ExactCount(want) || p.Total.Lower < want {
				t.Errorf("window %v, %+v: %+v, want %d", w, c, p, want)
			}
			p := table.Top(topOf(table, w, c, 5))
			if i := slices.IndexFunc(p.Rows, func(r rank.Row) bool { return r.Topic == "t" }); i < 0 && want > 0 || i >= 0 && p.Rows[i].Count.Lower != want {
				t.Errorf("window %v, %+v: %+v, want %d", w, c, p.Rows, want)
			}
		}
	}
	count(5)
	table.Top(topOf(table, messages.Window5m, messages.Cell{}, 5))
	table.Raise("t", math.MaxUint64-10) // as if it had been counted long ago
	count(20)
	check(messages.Window5m, 25)
	check(messages.WindowAll, math.MaxUint64)
	clock += 2 * messages.Minute
	count(3)
	clock += 3*messages.Minute + 10*messages.Second
	table.Slide(clock) // the first two counts leave
	check(messages.Window5m, 3)
	check(messages.Window(3*messages.Minute), 0)
	check(messages.Window1h, 28)
	check(messages.WindowAll, math.MaxUint64)
	if p := table.Cells(&window.CellsAsk{Window: messages.Window5m, E: clock}); p.Total != messages.ExactCount(4) || p.Categories[0].Total != p.Total {
		t.Errorf("cells: %+v", p)
	}
}

// TestOverflowedTopicComesUp: a topic whose total has overflowed and that was
// not among the candidates rises to the top of a window.
func TestOverflowedTopicComesUp(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	count := func(topic string, n uint64) {
		b.add(event{clock.Floor(messages.SliceLength), topic, "c", "", n})
		table.Apply(b.flush(clock))
	}
	first := func() rank.Row { return table.Top(topOf(table, messages.Window5m, messages.Cell{}, 1)).Rows[0] }
	for i := range 100 {
		count(fmt.Sprint("other", i), 100)
	}
	count("t", 5)
	first()
	table.Raise("t", math.MaxUint64-10)
	count("t", 20)
	if r := first(); r.Topic == "t" {
		t.Errorf("too early: %+v", r)
	}
	count("t", 200)
	if r := first(); r.Topic != "t" || r.Count != messages.ExactCount(225) {
		t.Errorf("%+v, want t with 225", r)
	}
}

// TestRecentTopicsUnderOldOnes: the first rows of the next longer window have
// nothing in a window of 37 minutes; those behind them are counted.
func TestRecentTopicsUnderOldOnes(t *testing.T) {
	table, b := newTable(), newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	for i := range 500 {
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("old", i), "c", "", 100})
	}
	table.Apply(b.flush(clock))
	clock += 30 * messages.Minute
	b.add(event{clock.Floor(messages.SliceLength), "between", "c", "", 1})
	table.Apply(b.flush(clock))
	clock += 20 * messages.Minute
	for i := range 20 {
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprintf("new%02d", i), "c", "", uint64(40 - i)})
	}
	table.Apply(b.flush(clock))
	p := table.Top(topOf(table, messages.Window(37*messages.Minute), messages.Cell{}, 10))
	if len(p.Rows) != 10 || p.Rest != 30 {
		t.Fatalf("%+v", p)
	}
	for i, r := range p.Rows {
		if r.Topic != fmt.Sprintf("new%02d", i) || r.Count != messages.ExactCount(uint64(40-i)) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
}

// TestApplyAllocatesLittle: counting known keys takes memory for the slices
// only.
func TestApplyAllocatesLittle(t *testing.T) {
	l := newLoad(20_000)
	const runs, rows = 50, 1000
	ready := l.deltas(runs+1, rows, 10*messages.Millisecond)
	perDelta := testing.AllocsPerRun(runs, func() {
		l.table.Apply(ready[0])
		ready = ready[1:]
	})
	if perDelta > 3 {
		t.Errorf("%v allocations for %d rows", perDelta, rows)
	}
}
