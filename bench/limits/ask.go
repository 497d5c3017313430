package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// times are how long questions took.
type times []time.Duration

func (t *times) take(ask func() error) error {
	start := time.Now()
	if err := ask(); err != nil {
		return err
	}
	*t = append(*t, time.Since(start))
	return nil
}

// String is p50 and p99 in milliseconds.
func (t times) String() string {
	slices.Sort(t)
	at := func(share float64) string {
		return bench.Number(float64(t[int(share*float64(len(t)-1))].Microseconds()) / 1000)
	}
	return fmt.Sprintf("%s ms (p50 %s, %d asked)", at(0.99), at(0.5), len(t))
}

// measureCold asks for boards for the first time, each once.
func measureCold(ctx context.Context, c *config) ([]line, error) {
	_, e, err := c.filled(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(c.seed, 1))
	type board struct {
		window messages.Window
		cell   messages.Cell
	}
	kinds := map[string][]board{}
	var all times
	for _, w := range messages.StandardWindows {
		kinds["any"] = append(kinds["any"], board{window: w})
		for _, category := range workload.CategoryNames {
			kinds["category"] = append(kinds["category"], board{w, messages.Cell{Category: category}})
		}
		for _, region := range workload.RegionNames[:200] {
			kinds["region"] = append(kinds["region"], board{w, messages.Cell{Region: region}})
			for _, category := range workload.CategoryNames {
				kinds["pair"] = append(kinds["pair"], board{w, messages.Cell{Category: category, Region: region}})
			}
		}
	}
	var lines []line
	for _, kind := range []string{"any", "category", "region", "pair"} {
		boards := kinds[kind]
		rng.Shuffle(len(boards), func(i, j int) { boards[i], boards[j] = boards[j], boards[i] })
		var t times
		for _, b := range boards[:min(len(boards), c.asks)] {
			if err := t.take(func() error { return ask(ctx, e, b.window, b.cell, 100) }); err != nil {
				return nil, err
			}
		}
		lines = append(lines, line{"  " + kind, "", "", t.String()})
		all = append(all, t...)
	}
	return append([]line{{"cold board p99, top 100, all kinds of cells", "30 ms", "10 ms", all.String()}}, lines...), nil
}

func ask(ctx context.Context, e *actors.Engine, w messages.Window, cell messages.Cell, k int) error {
	_, err := e.Board(ctx, &messages.BoardQuery{Window: w, Cell: cell, K: k})
	return err
}

// measureInterval asks for windows of so many minutes, each once.
func measureInterval(ctx context.Context, c *config) ([]line, error) {
	_, e, err := c.filled(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	var lines []line
	for i, k := range []int{10, 100} {
		var t times
		for minutes := 21 + i; minutes < 60; minutes += 2 {
			w := messages.Window(messages.Micros(minutes) * messages.Minute)
			if err := t.take(func() error { return ask(ctx, e, w, messages.Cell{}, k) }); err != nil {
				return nil, err
			}
		}
		lines = append(lines, line{fmt.Sprintf("window=37m and such, top %d, cold: p99", k), []string{"20 ms", "60 ms"}[i], []string{"5 ms", "30 ms"}[i], t.String()})
	}
	return lines, nil
}

// measureHistory asks for the topics of random events.
func measureHistory(ctx context.Context, c *config) ([]line, error) {
	tape, e, err := c.filled(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(c.seed, 2))
	var t times
	for range c.asks {
		topic := tape.Topics[tape.Events[rng.IntN(len(tape.Events))].Topic]
		q := &messages.SeriesQuery{Topics: []string{topic}, Window: messages.Window24h, Granularity: 20 * messages.Minute}
		if err := t.take(func() error { _, err := e.Series(ctx, q); return err }); err != nil {
			return nil, err
		}
	}
	return []line{{"history of one topic, 24 h in steps of 20 min: p99", "2 ms", "0.5 ms", t.String()}}, nil
}
