package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/crestdb/crest/bench"
)

// measures are named numbers, in the order in which they came up, with a value
// per repeat.
type measures struct {
	names  []string
	values map[string][]float64
}

func (m *measures) add(name string, v float64) {
	if m.values == nil {
		m.values = map[string][]float64{}
	}
	if m.values[name] == nil {
		m.names = append(m.names, name)
	}
	m.values[name] = append(m.values[name], v)
}

// latency adds the percentiles of a histogram of microseconds.
func (m *measures) latency(name string, h *hdrhistogram.Histogram) {
	for _, p := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}} {
		m.add(name+" "+p.name+", ms", float64(h.ValueAtPercentile(p.at))/1000)
	}
}

func (m *measures) merge(o *measures) {
	for _, name := range o.names {
		for _, v := range o.values[name] {
			m.add(name, v)
		}
	}
}

func (m *measures) table(title string) *bench.Table {
	t := &bench.Table{Title: title, Head: []string{"what", "median", "least–greatest"}}
	for _, name := range m.names {
		median, span := bench.SpreadOf(m.values[name]).Cells()
		t.Add(name, median, span)
	}
	return t
}

// newHistogram holds latencies in microseconds up to a minute, in three
// digits; what lies above counts as a minute.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	// It cannot fail within the bounds it was made with.
	_ = h.RecordValue(min(max(1, d.Microseconds()), h.HighestTrackableValue()))
}
