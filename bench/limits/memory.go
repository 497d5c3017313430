package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// measureMemory takes what the engine accounts for, by row.
func measureMemory(ctx context.Context, c *config) ([]line, error) {
	active, err := rowBytes(ctx, activeTape(max(2000, c.topics/100)))
	if err != nil {
		return nil, err
	}
	// Of two tables that differ in rows alone the difference is the rows'.
	topics := c.topics / 10
	few, err := rowBytes(ctx, coldTape(topics, 1, c.seed))
	if err != nil {
		return nil, err
	}
	many, err := rowBytes(ctx, coldTape(topics, 6, c.seed))
	if err != nil {
		return nil, err
	}
	cold := (many.bytes - few.bytes) / (many.rows - few.rows)
	return []line{
		{"bytes of a T row with a count in every slice kept", "700", "500", bench.Number(active.bytes / active.rows)},
		{"bytes of a row with one event in 31 days", "110", "80", bench.Number(cold)},
		{"  its topic's T row with the name", "", "", bench.Number((few.bytes - cold*few.rows/2) / (few.rows / 2))},
	}, nil
}

// held is what a table holds.
type held struct{ bytes, rows float64 }

func rowBytes(ctx context.Context, t *tape.Tape) (held, error) {
	log := t.Log(tape.Layout{Partitions: 1, Request: request, Flush: flush})
	e, err := log.Engine(tape.Unbounded, nil)
	if err != nil {
		return held{}, err
	}
	defer e.Close()
	if err := log.Count(ctx, e, log.Total()); err != nil {
		return held{}, err
	}
	s, err := e.Status(ctx)
	if err != nil {
		return held{}, err
	}
	return held{float64(s.Memory.Engine() - s.Memory.Combine), float64(s.Partitions[0].Rows)}, nil
}

// slices of time that are kept, as the oldest age and the grid of each tier.
var kept = []struct{ from, grid messages.Micros }{
	{whole, 12 * messages.Hour},
	{7 * messages.Day, 2 * messages.Hour},
	{25 * messages.Hour, 20 * messages.Minute},
	{4 * messages.Hour, 5 * messages.Minute},
	{72 * messages.Minute, messages.Minute},
	{12 * messages.Minute, 10 * messages.Second},
	{5 * messages.Minute, 5 * messages.Second},
}

// activeTape has an event of every topic, without category and region, in every
// slice that is kept in the end.
func activeTape(topics int) *tape.Tape {
	var events []tape.Event
	for i, k := range kept {
		until := messages.Micros(0)
		if i+1 < len(kept) {
			until = kept[i+1].from
		}
		for age := k.from; age > until; age -= k.grid {
			for topic := range topics {
				events = append(events, tape.Event{At: epoch - age, Topic: uint32(topic)})
			}
		}
	}
	return tape.Of(topicNames(topics), events)
}

// coldTape has one event of every topic in each of some regions, at any time of
// 31 days.
func coldTape(topics, regions int, seed uint64) *tape.Tape {
	rng := rand.New(rand.NewPCG(seed, 3))
	var events []tape.Event
	for topic := range topics {
		for region := range regions {
			events = append(events, tape.Event{
				At: epoch - messages.Micros(rng.Int64N(int64(whole))), Topic: uint32(topic),
				Category: uint8(1 + topic%20), Region: uint8(1 + (topic+region*37)%200),
			})
		}
	}
	slices.SortFunc(events, func(a, b tape.Event) int { return cmp.Compare(a.At, b.At) })
	return tape.Of(topicNames(topics), events)
}

// measureExact asks how often topics, and topics in regions, occurred within 30
// days, and takes the share of exact answers.
func measureExact(ctx context.Context, c *config) ([]line, error) {
	t, e, err := c.filled(ctx, int64(c.topics)<<10)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(c.seed, 4))
	var topics []string
	inRegion := map[uint8][]string{}
	for range 20 * c.asks {
		topics = append(topics, t.Topics[rng.IntN(len(t.Topics))])
		event := t.Events[rng.IntN(len(t.Events))]
		inRegion[event.Region] = append(inRegion[event.Region], t.Topics[event.Topic])
	}
	exact, err := exactOf(ctx, e, topics, messages.Cell{})
	if err != nil {
		return nil, err
	}
	regional := 0
	for region, names := range inRegion {
		n, err := exactOf(ctx, e, names, messages.Cell{Region: tape.RegionName(region)})
		if err != nil {
			return nil, err
		}
		regional += n
	}
	percent := func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(len(topics))) }
	used := e.MemoryUsed()
	return []line{
		{"1 KB a topic: topics that are exact in 30 days", "100 %", "100 %", percent(exact)},
		{"1 KB a topic: events whose topic is exact in their region", "70 %", "80 %", percent(regional)},
		{"  memory held, of the budget", "", "", fmt.Sprintf("%.2f", float64(used.Engine())/float64(c.topics<<10))},
	}, nil
}

func exactOf(ctx context.Context, e *actors.Engine, topics []string, cell messages.Cell) (n int, err error) {
	for part := range slices.Chunk(topics, 1000) {
		counts, err := e.Counts(ctx, &messages.CountQuery{Topics: part, Window: messages.Window30d, Cell: cell})
		if err != nil {
			return 0, err
		}
		for _, count := range counts.Counts {
			if count.Lower == count.Upper {
				n++
			}
		}
	}
	return n, nil
}
