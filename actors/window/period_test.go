package window_test

import (
	"fmt"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestHiddenCountsStayAsLongAsTheirWindow: what is hidden of a window is known
// until the last question that the window still reaches it with, wherever the
// sketches' periods begin.
func TestHiddenCountsStayAsLongAsTheirWindow(t *testing.T) {
	const count = 7
	for _, w := range messages.StandardWindows {
		if w == messages.WindowAll {
			continue
		}
		length, grid := messages.Micros(w), window.Grid(w)
		begin := (1_700_000_000 * messages.Second).Floor(grid)
		for step := range (length+window.Margin)/grid + 4 {
			at := begin + step*grid
			table := window.New(window.Config{Hash: hashOf, Memory: 1 << 18, Epsilon: 0.01, Delta: 0.1, Key: [2]uint64{1, 2}})
			b := newBatch(1, 1, hashOf)
			b.add(event{at, "topic", "", "", count})
			table.Apply(b.flush(at))
			table.Leave(func() bool { return true })
			e := at + grid - 1 + length // the window begins at at
			for _, clock := range []messages.Micros{e, e + window.Margin} {
				table.Slide(clock)
				n := table.Count(&window.CountAsk{Topics: []string{"topic"}, Window: w, E: e}).Counts[0]
				if n.Upper < count {
					t.Fatalf("%v: counted at %d, asked at %d about %d: got %+v, true is %d", w, at, clock, e, n, count)
				}
			}
		}
	}
}

// TestLateCountsAreHiddenOfTheEarliestQuestion: a count that comes too late for a
// window as of now is hidden of it all the same, if a question may still be asked
// that finds it there.
func TestLateCountsAreHiddenOfTheEarliestQuestion(t *testing.T) {
	const count = 7
	for _, w := range messages.StandardWindows {
		if w == messages.WindowAll {
			continue
		}
		begin := (1_700_000_000 * messages.Second).Floor(window.Grid(w))
		for _, clock := range []messages.Micros{begin, begin + window.Margin - messages.SliceLength} {
			table := window.New(window.Config{Hash: hashOf, Memory: 1 << 18, Epsilon: 0.01, Delta: 0.1, Key: [2]uint64{1, 2}})
			b := newBatch(1, 1, hashOf)
			b.add(event{clock, "another", "", "", 1})
			table.Apply(b.flush(clock))
			table.Leave(func() bool { return true })
			table.Hide(1 << 20)
			i := window.Resolve(w, clock-window.Margin)
			b.add(event{i.Start, "topic", "", "", count})
			table.Apply(b.flush(clock))
			if table.Stats().Topics > 0 {
				t.Fatal("the count has a row")
			}
			n := table.Count(&window.CountAsk{Topics: []string{"topic"}, Window: w, E: clock - window.Margin}).Counts[0]
			if n.Upper < count {
				t.Errorf("%v: counted at %d, asked at %d about %d: got %+v, true is %d", w, i.Start, clock, clock-window.Margin, n, count)
			}
		}
	}
}

// TestAllHiddenCountsEnterTheFloors: also those of a delta of more keys than are
// noted together.
func TestAllHiddenCountsEnterTheFloors(t *testing.T) {
	const clock, keys = 1_700_000_000 * messages.Second, 20_000
	table := window.New(window.Config{Hash: hashOf, Memory: 1 << 18, Epsilon: 0.01, Delta: 0.1, Key: [2]uint64{1, 2}})
	b := newBatch(1, 1, hashOf)
	b.add(event{clock, "another", "", "", 1})
	table.Apply(b.flush(clock))
	table.Leave(func() bool { return true })
	table.Hide(1 << 31)
	for n := range uint64(keys) {
		b.add(event{clock, fmt.Sprint("topic", n), "", "", 100 - min(n, 99)})
	}
	table.Apply(b.flush(clock))
	if table.Stats().Topics > 0 {
		t.Fatal("a count has a row")
	}
	for n := range uint64(200) {
		ask := &window.CountAsk{Topics: []string{fmt.Sprint("topic", n)}, Window: messages.Window1h, E: clock}
		if c := table.Count(ask).Counts[0]; c.Upper < 100-min(n, 99) {
			t.Fatalf("%s: got %+v, true is %d", ask.Topics[0], c, 100-min(n, 99))
		}
	}
}
