package window_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestDeepSearch: a board's part proves as much of its rows as everything that
// the table knows does, though it lists few rows more than asked for.
func TestDeepSearch(t *testing.T) {
	w := newWatcher(3 << 20)
	zipf := rand.NewZipf(w.rand, 1.3, 2, 60_000)
	var certified, rows int
	for round := range 40 {
		for range 30 {
			for range 300 {
				w.batch.add(event{w.clock.Floor(messages.SliceLength), fmt.Sprint("topic", zipf.Uint64()), "", fmt.Sprint("r", w.rand.IntN(3)), 1})
			}
			w.clock += messages.Second
			w.Apply(w.batch.flush(w.clock))
		}
		length := []messages.Window{messages.Window5m, messages.Window1h, messages.Window(37 * messages.Minute), messages.WindowAll}[round%4]
		for _, region := range []string{"", "r1"} {
			q := window.TopAsk{Window: length, E: w.Clock(), Cell: messages.Cell{Region: region}, K: 1 << 20}
			everything := w.Top(&q)
			checkAround(t, w, &q, everything, w.rand.IntN(len(everything.Rows)))
			for _, k := range []int{1, 10, 100, 400} {
				q.K = k
				p := w.Top(&q)
				listed := make(map[string]bool)
				for i := range p.Rows {
					listed[p.Rows[i].Topic] = true
				}
				for i := range everything.Rows {
					if r := &everything.Rows[i]; !listed[r.Topic] && r.Count.Upper > p.Rest {
						t.Fatalf("%s %q, board of %d: %s may have %d and is not listed; the rest is to have at most %d", length, region, k, r.Topic, r.Count.Upper, p.Rest)
					}
				}
				if len(p.Rows) > 2*k+1 {
					t.Fatalf("%d rows for a board of %d", len(p.Rows), k)
				}
				got, n, _ := rank.Merge([]*rank.Part{p}, k)
				want, most, _ := rank.Merge([]*rank.Part{everything}, k)
				if n != most {
					t.Errorf("%s %q: the first %d rows of %d are certified, %d could be", length, region, n, k, most)
				}
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("%s %q, board of %d: row %d is %+v, not %+v", length, region, k, i, got[i], want[i])
					}
				}
				certified, rows = certified+n, rows+len(got)
			}
		}
	}
	if w.Left() == 0 || certified == 0 || certified == rows {
		t.Errorf("%d rows left, %d rows of %d are certified: nothing is tried", w.Left(), certified, rows)
	}
	t.Logf("%d rows left; %d rows of %d are certified", w.Left(), certified, rows)
}

// checkAround: as many topics may come before a row as those whose bounds say
// so, where all of them have rows.
func checkAround(t *testing.T, w *watcher, q *window.TopAsk, everything *rank.Part, at int) {
	asked := everything.Rows[at]
	if asked.Count.Lower <= everything.Rest {
		return
	}
	want := 0
	for i, r := range everything.Rows {
		if n := r.Count.Upper; i != at && (n > asked.Count.Lower || n == asked.Count.Lower && r.Topic < asked.Topic) {
			want++
		}
	}
	p := w.Around(&window.AroundAsk{Topic: asked.Topic, Count: asked.Count, Window: q.Window, E: q.E, Cell: q.Cell, Around: 2})
	if p.Possible != want {
		t.Errorf("%s %q: %d topics may come before %+v, not %d", q.Window, q.Cell.Region, want, asked, p.Possible)
	}
	for _, r := range p.Above {
		if i := slices.IndexFunc(everything.Rows, func(x rank.Row) bool { return x.Topic == r.Topic }); i < 0 || everything.Rows[i] != r {
			t.Errorf("%s %q: %+v is above %s", q.Window, q.Cell.Region, r, asked.Topic)
		}
	}
}
