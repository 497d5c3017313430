package tape_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

func record(t *testing.T, n int) *tape.Tape {
	t.Helper()
	events, err := tape.Record(tape.Hour(1, n, 5000), n)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestATapeIsItsStream: bodies hold the stream's own events.
func TestATapeIsItsStream(t *testing.T) {
	const n = 2500
	s, err := workload.New(tape.Hour(1, n, 5000))
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for range n {
		var e workload.Event
		s.Next(&e)
		want = e.AppendJSON(want)
	}
	bodies := record(t, n).Bodies(1000, (*workload.Event).AppendJSON)
	if len(bodies) != 3 || !bytes.Equal(bytes.Join(bodies, nil), want) {
		t.Errorf("%d bodies hold other events than the stream", len(bodies))
	}
}

// TestAnEngineCountsATape: with keys and without, released in steps, its boards
// are the truth.
func TestAnEngineCountsATape(t *testing.T) {
	events := record(t, 20_000)
	for _, keys := range []bool{false, true} {
		log := events.Log(tape.Layout{Partitions: 4, Request: 300, Flush: 1000, Keys: keys})
		engine, err := log.Engine(tape.Unbounded, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		for _, n := range []int{300, 9000, 20_000} {
			if err := log.Count(t.Context(), engine, n); err != nil {
				t.Fatal(err)
			}
			e := events.Events[0]
			for _, cell := range []messages.Cell{{}, {Category: tape.CategoryName(e.Category)}, {Category: tape.CategoryName(e.Category), Region: tape.RegionName(e.Region)}} {
				for _, w := range []messages.Window{messages.Window5m, messages.WindowAll} {
					b, err := engine.Board(t.Context(), &messages.BoardQuery{Window: w, Cell: cell, K: 20, After: log.Release(n)})
					if err != nil {
						t.Fatal(err)
					}
					truth := events.Tally(n, cell, b.Start, b.End)
					ranked := truth.Ranked()
					if len(b.Rows) != min(20, len(ranked)) {
						t.Fatalf("keys %v, %d events, %v %v: %d rows, want %d", keys, n, w, cell, len(b.Rows), min(20, len(ranked)))
					}
					for i, r := range b.Rows {
						if r.Topic != ranked[i].Topic || r.Count.Lower != ranked[i].Count {
							t.Errorf("keys %v, %d events, %v %v: row %d is %+v, want %+v", keys, n, w, cell, i, r, ranked[i])
						}
					}
				}
			}
		}
	}
}

// TestLoops: the tape comes again and again, at the rate, and counts as often.
func TestLoops(t *testing.T) {
	const n, loops, rate = 5000, 3, 100
	events := record(t, n)
	log := events.Log(tape.Layout{Partitions: 3, Request: 70, Flush: 1000, Rate: rate, Loops: loops})
	engine, err := log.Engine(tape.Unbounded, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if err := log.Count(t.Context(), engine, log.Total()); err != nil {
		t.Fatal(err)
	}
	b, err := engine.Board(t.Context(), &messages.BoardQuery{Window: messages.WindowAll, K: 20})
	if err != nil {
		t.Fatal(err)
	}
	ranked := events.Tally(n, messages.Cell{}, 0, math.MaxInt64).Ranked()
	for i, r := range b.Rows {
		if r.Topic != ranked[i].Topic || r.Count.Lower != loops*ranked[i].Count {
			t.Errorf("row %d is %+v, want %d × %+v", i, r, loops, ranked[i])
		}
	}
	if last := events.Events[0].At + n*loops*messages.Second/rate; b.AsOf < last || b.AsOf > last+messages.Second {
		t.Errorf("the last of %d events at %d/s came at %v, want %v", n*loops, rate, b.AsOf.Time(), last.Time())
	}
}
