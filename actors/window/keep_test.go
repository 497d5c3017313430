package window_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestRowsStayWhateverCellsTake: where cells and their totals alone exceed the
// memory, rows stay in half of it, and questions drive none of them away.
func TestRowsStayWhateverCellsTake(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 19))
	zipf := rand.NewZipf(r, 1.07, 1, 400_000/16)
	table := window.New(window.Config{Hash: hashOf, Memory: 16515072 / 16, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 19}})
	b := newBatch(64, 40, hashOf)
	clock := 1_700_000_000 * messages.Second
	const events = 200_000
	for n := range events {
		topic := zipf.Uint64()
		category := topic % 20
		if r.IntN(50) == 0 {
			category = r.Uint64N(20)
		}
		at := clock
		if r.IntN(3) == 0 {
			at -= messages.Micros(r.IntN(1200)) * messages.Second
		}
		b.add(event{at.Floor(messages.SliceLength), fmt.Sprintf("t%05d", topic), fmt.Sprint("c", category), fmt.Sprint("r", min(59, int(r.ExpFloat64()/0.12))), 1})
		if n%200 == 199 {
			table.Apply(b.flush(clock))
			clock += 3 * messages.Day * 200 / events
		}
	}
	q := &window.TopAsk{Window: messages.Window24h, E: table.Clock(), K: 50}
	check := func(when string) {
		t.Helper()
		s := table.Stats()
		t.Logf("%s: %d topics, %d rows, %d of %d bytes", when, s.Topics, s.Rows, s.Memory.Engine(), 1<<20)
		rows := table.Top(q).Rows
		for i := range 50 {
			if len(rows) <= i || rows[i].Topic != fmt.Sprintf("t%05d", i) && i < 20 {
				t.Fatalf("%s: row %d of %d is not the topic with so many counts: %+v", when, i, len(rows), rows)
			}
		}
	}
	check("counted")
	for range 8000 {
		table.Slide(table.Clock())
	}
	check("asked")
}
