package window_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestTheFirstHundredStay: however little memory there is and however many topics
// tie, a hundred of those with the most have a row in every window.
func TestTheFirstHundredStay(t *testing.T) {
	for _, categories := range []int{1, 40} {
		t.Run(fmt.Sprint(categories), func(t *testing.T) { theFirstHundredStay(t, categories) })
	}
}

func theFirstHundredStay(t *testing.T, categories int) {
	r := rand.New(rand.NewPCG(1, 2))
	table := window.New(window.Config{Hash: hashOf, Memory: 64 << 10, Epsilon: 0.01, Delta: 0.01})
	whole := window.New(window.Config{Hash: hashOf})
	b := newBatch(64, 64, hashOf)
	clock := 1_700_000_000 * messages.Second
	// For a day few topics come often; then, for an hour, each comes once.
	for n := range 40_000 {
		name := fmt.Sprintf("often/%d", r.IntN(110)*r.IntN(110)/110)
		if n >= 20_000 {
			name = fmt.Sprintf("once/%d", n)
		}
		b.add(event{clock.Floor(messages.SliceLength), name, fmt.Sprint("c", n%categories), "", 1})
		if n%200 == 199 {
			d := b.flush(clock)
			whole.Apply(d)
			table.Apply(d)
			if clock += messages.Day / 100; n >= 20_000 {
				clock += messages.Hour/100 - messages.Day/100
			}
		}
	}
	if table.Left() == 0 {
		t.Fatal("there was room for all")
	}
	for _, w := range messages.StandardWindows {
		q := &window.TopAsk{Window: w, E: table.Clock(), K: 100}
		want, got := whole.Top(q).Rows, table.Top(q).Rows
		if len(got) < len(want) {
			t.Errorf("%v: %d rows of %d", w, len(got), len(want))
			continue
		}
		least, missing := want[len(want)-1].Count.Lower, 0
		for _, row := range got[:len(want)] {
			if row.Count.Lower < least {
				missing++
			}
		}
		if missing > 3 { // those in the bucket of the hundredth may go
			t.Errorf("%v: %d of the first %d have no row", w, missing, len(want))
		}
	}
}
