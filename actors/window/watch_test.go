package window_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// watcher is a table with a memory that is short for its topics.
type watcher struct {
	*window.Table
	rand  *rand.Rand
	batch *batch
	clock messages.Micros
}

func newWatcher(memory int64) *watcher {
	return &watcher{
		Table: window.New(window.Config{Hash: hashOf, Memory: memory, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2}}),
		rand:  rand.New(rand.NewPCG(1, 2)), batch: newBatch(64, 512, hashOf), clock: 1_700_000_000 * messages.Second,
	}
}

// play applies deltas of events spread over so many topics evenly.
func (w *watcher) play(deltas, events, topics int) {
	for range deltas {
		for range events {
			w.batch.add(event{w.clock.Floor(messages.SliceLength), fmt.Sprint("topic", w.rand.IntN(topics)), "", fmt.Sprint("r", w.rand.IntN(3)), 1})
		}
		w.clock += messages.Second
		w.Apply(w.batch.flush(w.clock))
	}
}

// TestWatchedShare: whatever boards are asked, their candidate sets keep to
// their share of the memory.
func TestWatchedShare(t *testing.T) {
	w, quiet := newWatcher(4<<20), newWatcher(4<<20)
	var most int64
	for range 15 {
		w.play(20, 400, 100_000)
		quiet.play(20, 400, 100_000)
		for _, length := range messages.StandardWindows {
			for _, k := range []int{10, 100, 1000} {
				w.Top(&window.TopAsk{Window: length, E: w.Clock(), K: k})
				w.Top(&window.TopAsk{Window: length, E: w.Clock(), Cell: messages.Cell{Region: "r1"}, K: k})
				n, limit := w.WatchedBytes()
				if most = max(most, n); n > limit {
					t.Fatalf("%d bytes of %d", n, limit)
				}
			}
		}
	}
	if most == 0 {
		t.Error("no set is kept")
	}
	if rows, without := w.Stats().Rows, quiet.Stats().Rows; 100*rows < 85*without {
		t.Errorf("boards evict rows: %d are left of %d", rows, without)
	}
	t.Logf("%d rows; %d without boards; sets took %d bytes at most", w.Stats().Rows, quiet.Stats().Rows, most)
}

// TestWatchedShrink: a set is as large as what is asked of it lately, and no
// board asks for more than its rows.
func TestWatchedShrink(t *testing.T) {
	w := newWatcher(64 << 20)
	w.play(50, 400, 20_000)
	ask := func(k int) { w.Top(&window.TopAsk{Window: messages.Window1h, E: w.Clock(), K: k}) }
	ask(1000)
	large, _ := w.WatchedBytes()
	if k := w.WatchedFor(); k != 1001 {
		t.Fatalf("a set for %d rows", k)
	}
	for range 150 {
		w.play(10, 10, 20_000)
		ask(100)
	}
	small, _ := w.WatchedBytes()
	if k := w.WatchedFor(); k != 101 || 2*small > large {
		t.Errorf("a set for %d rows in %d bytes, %d when it was larger", k, small, large)
	}
}
