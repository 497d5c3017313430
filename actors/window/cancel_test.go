package window_test

import (
	"fmt"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestMergeGivenUpLeavesNothing: what was merged of slices that are kept no longer
// is in no slice that is merged later.
func TestMergeGivenUpLeavesNothing(t *testing.T) {
	clock := (1_700_000_000 * messages.Second).Floor(messages.Day)
	table := window.New(window.Config{Hash: hashOf})
	b := newBatch(1, 1, hashOf)
	count := func(clock messages.Micros) {
		for n := range 3 * 256 {
			b.add(event{clock, fmt.Sprint("topic", n), "", "", 2})
		}
		table.Apply(b.flush(clock))
	}
	merges := 0
	for step := range 40 {
		table.SetCredit(-1 << 40)
		count(clock)
		count(clock + 5*messages.Second)
		table.SetCredit(-4096 + 300 + 20*step) // what the next slide adds is for a part of it
		clock += messages.Hour
		table.Slide(clock)
		if table.Merging() {
			merges++
		}
		clock += 40 * messages.Day
		table.Slide(clock)
		count(clock)
		count(clock + 5*messages.Second)
		table.SetCredit(1 << 40)
		clock += messages.Hour
		table.Slide(clock)
		topics := []string{"topic0", "topic300", "topic700"}
		q := &window.SeriesAsk{Topics: topics, Start: clock.Floor(messages.Day) - messages.Day, Step: messages.Day, N: 2}
		points, err := table.Series(q)
		if err != nil {
			t.Fatal(err)
		}
		for i, topic := range topics {
			if n := points[i][0].Lower + points[i][1].Lower; n != 4 {
				t.Fatalf("step %d: %s has %d of 4", step, topic, n)
			}
		}
		clock += 40 * messages.Day
	}
	if merges == 0 {
		t.Error("no merge was under way")
	}
}
