package main

import (
	"io"
	"strings"
	"testing"
)

// TestEveryRow has its lines, at the least size.
func TestEveryRow(t *testing.T) {
	c, chosen, err := parse([]string{"-events", "20000", "-topics", "2000", "-asks", "20", "-partitions", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range chosen {
		if r.name == "memory" {
			continue // has a size of its own
		}
		lines, err := r.measure(t.Context(), c)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		for _, l := range lines {
			if l.what == "" || l.measured == "" {
				t.Errorf("%s: %+v", r.name, l)
			}
		}
	}
}

// TestActiveTapeFillsEverySlice: as many as the tiers have within 31 days.
func TestActiveTapeFillsEverySlice(t *testing.T) {
	events := activeTape(1)
	if n := len(events.Events); n < 370 || n > 400 {
		t.Errorf("%d events, want one for each of about 385 slices", n)
	}
	for i := range events.Events[1:] {
		if events.Events[i+1].At <= events.Events[i].At {
			t.Fatalf("event %d does not come after the one before it", i+1)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"-events 10", "-topics 1", "-topics 2000000 -events 1000000", "-asks 1", "-partitions 0", "walk", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
