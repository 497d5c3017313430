package window_test

import (
	"fmt"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// crowd is a life with so many topics in the slice that is open.
func crowd(topics int) (l *life, b *batch, clock messages.Micros) {
	l = newLife(window.Config{Hash: hashOf, Memory: 1 << 24, Epsilon: 0.01, Delta: 0.01})
	b, clock = newBatch(64, 64, hashOf), messages.Hour
	for i := range topics {
		b.add(event{clock, fmt.Sprint("t", i), "c", fmt.Sprint("r", i%20), 1})
	}
	l.table.SetCredit(-1 << 30)
	l.table.Apply(b.flush(clock))
	return l, b, clock
}

// TestFrozenMidMerge: rows leave while a merge is under way in what is frozen, and
// it goes on without them; then from the list that it made.
func TestFrozenMidMerge(t *testing.T) {
	l, b, clock := crowd(6000)
	l.table.SetCredit(-4096 + 200) // a slide earns 4,096
	l.table.Slide(clock + messages.Minute)
	if !l.table.Merging() {
		t.Fatal("no merge is under way")
	}
	l.freeze(t, false)
	n := 0
	l.table.Leave(func() bool { n++; return n%2 == 0 })
	if !l.table.Merging() {
		t.Fatal("the merge is over already")
	}
	l.check(t)
	l.table.SetCredit(1 << 30)
	l.table.Apply(b.flush(clock + messages.Minute))
	if l.table.Merging() {
		t.Fatal("the merge is not over")
	}
	l.release(t)
	l.freeze(t, false) // what is saved now must name no row that has left
	l.release(t)
	l.table.Leave(func() bool { n++; return n%9 == 0 })
	l.freeze(t, false) // the list, with fewer rows, must have another name
	l.release(t)
	if len(l.older) < 2 {
		t.Errorf("%d lists have been saved by themselves", len(l.older))
	}
	q := &window.CountAsk{Window: messages.Window1h, E: l.table.Clock()}
	if n := l.table.Count(q).Total; n != messages.ExactCount(6000) {
		t.Errorf("%+v are counted, not 6000", n)
	}
}

// TestFrozenOpenSlice: a slice closes whose counts, all in order, are frozen; the
// next one must not take its buffer.
func TestFrozenOpenSlice(t *testing.T) {
	l, b, clock := crowd(900) // the buffer has just grown
	// To be counted slice by slice they are put in order.
	if _, err := l.table.Series(&window.SeriesAsk{Topics: []string{"t1"}, Start: clock, Step: messages.Minute, N: 1}); err != nil {
		t.Fatal(err)
	}
	l.freeze(t, false)
	clock += messages.SliceLength
	for i := range 500 {
		b.add(event{clock, fmt.Sprint("u", i), "c", "", 1})
	}
	l.table.Apply(b.flush(clock))
	l.release(t)
}
