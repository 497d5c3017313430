package main

import (
	"strings"
	"testing"
	"time"
)

const traces = `File: budget
Type: cpu
-----------+-------------------------------------------------------
   20000us   runtime.memmove
             github.com/crestdb/crest/actors/window.(*page).resize (inline)
             github.com/crestdb/crest/actors/window.(*rows).place
             github.com/crestdb/crest/actors/window.(*counting).add
             github.com/crestdb/crest/actors/window.(*Table).Apply
-----------+-------------------------------------------------------
   10000us   runtime.scanObject
             runtime.gcAssistAlloc
             github.com/crestdb/crest/actors/window.(*rows).place
-----------+-------------------------------------------------------
   10000us   runtime.futex
             runtime.schedule
`

func TestStages(t *testing.T) {
	samples, err := parseTraces(strings.NewReader(traces))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		stage string
		time  time.Duration
	}{{"fold: new rows", 20 * time.Millisecond}, {"garbage collector", 10 * time.Millisecond}, {"actors, scheduler", 10 * time.Millisecond}}
	if len(samples) != len(want) {
		t.Fatalf("%d samples, want %d", len(samples), len(want))
	}
	for i, w := range want {
		if got := stages[samples[i].stageOf()].name; got != w.stage || samples[i].time != w.time {
			t.Errorf("sample %d: %v of %s, want %v of %s", i, samples[i].time, got, w.time, w.stage)
		}
	}
}

func TestTracesWithoutATime(t *testing.T) {
	if _, err := parseTraces(strings.NewReader("---\n   runtime.memmove x\n")); err == nil {
		t.Error("a stack without a time was taken")
	}
}
