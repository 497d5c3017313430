package main

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

func TestNamesGoBack(t *testing.T) {
	s := newZipf(2000, 1000, 1, 1.07)
	for topic := range s.topics {
		if n, ok := s.number(nameOf(topic)); !ok || n != topic {
			t.Fatalf("topic %d is called %q, which is %d, %v", topic, nameOf(topic), n, ok)
		}
	}
	for _, name := range []string{nameOf(1000), "", "x", "AAAAAAAAAAAA"} {
		if n, ok := s.number(name); ok {
			t.Errorf("%q is topic %d of %d", name, n, s.topics)
		}
	}
}

// TestStreams: every topic comes, times never go back, popularity is Zipf's,
// every window has its share, and the same number gives the same event.
func TestStreams(t *testing.T) {
	const events, topics = 400_000, 10_000
	for name, s := range map[string]*stream{"zipf": newZipf(events, topics, 1, 1.07), "riser": newRiser(events, 1)} {
		seen, last := make([]int, s.topics), messages.Micros(0)
		regions := map[uint8]int{}
		for i := range s.events {
			e := s.at(i)
			if e != s.at(i) || e.at < last {
				t.Fatalf("%s: event %d is %+v, then %+v; the one before came at %d", name, i, e, s.at(i), last)
			}
			seen[e.topic]++
			regions[e.region]++
			last = e.at
		}
		if len(regions) != len(workload.RegionNames) {
			t.Errorf("%s: %d regions", name, len(regions))
		}
		for _, w := range messages.StandardWindows[:len(messages.StandardWindows)-1] {
			if n := s.events - s.from(streamEnd-messages.Micros(w)); n < s.events/5 || n > s.events*99/100 {
				t.Errorf("%s: %d events in %v", name, n, w)
			}
		}
		if name == "riser" {
			if n := seen[riserTopic]; n < 1 || n > 20 {
				t.Errorf("the riser comes %d times", n)
			}
			for topic, n := range seen[firstOnce:] {
				if n > 1 {
					t.Fatalf("topic %d comes %d times", topic, n)
				}
			}
			continue
		}
		if slices.Contains(seen, 0) {
			t.Error("some topic never comes")
		}
		if ratio := float64(seen[0]) / float64(seen[9]); math.Abs(ratio-math.Pow(10, 1.07)) > 1.5 {
			t.Errorf("the first topic has %.1f times as many as the tenth", ratio)
		}
	}
}

// TestCountedAgrees with counts over all events, kept as they came.
func TestCountedAgrees(t *testing.T) {
	s := newZipf(50_000, 5000, 3, 1.07)
	pairs := []pair{{0, 0}, {0, 1}, {7, 3}}
	c := newCounted(s, 3, pairs)
	var events truth.Events
	for i := range s.events {
		e := s.at(i)
		if err := events.AddLine(e.appendJSON(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []messages.Window{messages.Window1h, messages.Window5m, messages.WindowAll} {
		start := max(0, streamEnd-messages.Micros(min(w, 100*messages.Window(messages.Day))))
		c.count(start, streamEnd)
		cells := []messages.Cell{{}, {Region: workload.RegionNames[2]}}
		want := events.Tally(start, streamEnd, cells)
		for i, got := range []*truth.Tally{c.tally(50), c.tallyIn(2, 50)} {
			if got.Total() != want[i].Total() {
				t.Errorf("%v %v: total %d, want %d", w, cells[i], got.Total(), want[i].Total())
			}
			ranked := got.Ranked()
			if n := min(51, len(want[i].Ranked())); len(ranked) < n || !slices.Equal(ranked[:n], want[i].Ranked()[:n]) {
				t.Errorf("%v %v: first %v, want %v", w, cells[i], ranked[:min(5, len(ranked))], want[i].Ranked()[:5])
			}
			for _, row := range want[i].Ranked() {
				if n := got.Count(row.Topic); n != row.Count {
					t.Fatalf("%v %v: %s has %d, want %d", w, cells[i], row.Topic, n, row.Count)
				}
			}
		}
		for _, p := range pairs {
			if n := events.Between(nameOf(p.topic), start, streamEnd, messages.Cell{Region: workload.RegionNames[p.region]}); n != uint64(c.pairs[p]) {
				t.Errorf("%v: %+v has %d, want %d", w, p, c.pairs[p], n)
			}
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"tall", "-events 10 wide", "-topics 100000000 wide", "-memory 1MB", "-stops 0", "-regions 201", "-counts -1", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
	if _, chosen, err := parse(nil, io.Discard); err != nil || len(chosen) != len(scenarios) {
		t.Errorf("without an argument: %v, %v", chosen, err)
	}
}

func BenchmarkEvents(b *testing.B) {
	s := newZipf(20_000_000, 3_000_000, 1, 1.07)
	var line []byte
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		e := s.at(i % s.events)
		line = e.appendJSON(line[:0])
	}
}
