package main

import (
	"fmt"
	"slices"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
)

// lines are the events of a stream, a line of NDJSON each.
func (c *config) lines(name string) ([][]byte, error) {
	if !slices.Contains(workload.MixNames, name) {
		lines, err := bench.ReadLines(name)
		if err == nil && len(lines) == 0 {
			err = fmt.Errorf("%s holds no events", name)
		}
		return lines, err
	}
	cfg, err := workload.Mix(name)
	if err != nil {
		return nil, err
	}
	cfg.Seed, cfg.Topics, cfg.Rate = c.seed, c.topics, float64(c.events)/c.span.Seconds()
	s, err := workload.New(cfg)
	if err != nil {
		return nil, err
	}
	lines := make([][]byte, c.events)
	var e workload.Event
	for i := range lines {
		s.Next(&e)
		lines[i] = e.AppendJSON(nil)
	}
	return lines, nil
}
