package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// measureGrowth lets every topic come once, then a quarter of the stream, both
// within an hour, and then as much again at 200,000 events a second; it takes the
// CPU time of the latter on one core.
func measureGrowth(ctx context.Context, c *config) ([]line, error) {
	var lines []line
	cost := func(topics, shards int) (float64, error) {
		ns, err := c.costAt(ctx, topics, shards)
		if err == nil {
			lines = append(lines, line{fmt.Sprintf("  %s topics, %d shards", bench.Number(float64(topics)), shards), "", "", bench.Number(ns) + " ns"})
		}
		return ns, err
	}
	var first, last float64
	for i, topics := range []int{c.topics / 100, c.topics / 10, c.topics, 5 * c.topics} {
		ns, err := cost(topics, c.partitions)
		if err != nil {
			return nil, err
		}
		if last = ns; i == 0 {
			first = ns
		}
	}
	for _, shards := range []int{1, 4, 16, 64} {
		if _, err := cost(c.topics, shards); err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("CPU per event, %s : %s topics", bench.Number(float64(5*c.topics)), bench.Number(float64(c.topics/100)))
	return append([]line{{what, "2.5 ×", "1.5 ×", bench.Number(last/first) + " ×"}}, lines...), nil
}

// costAt is ns per event.
func (c *config) costAt(ctx context.Context, topics, shards int) (float64, error) {
	part := c.events / 4
	stream, err := tape.Record(tape.Hour(c.seed, 2*part, topics), 2*part)
	if err != nil {
		return 0, err
	}
	// The topics of the stream keep their numbers, those that it lacks follow.
	names := append(stream.Topics, topicNames(topics)[:max(0, topics-len(stream.Topics))]...)
	start := stream.Events[0].At
	events := make([]tape.Event, topics, topics+len(stream.Events))
	for i := range events {
		events[i] = tape.Event{Topic: uint32(i), Category: uint8(1 + i%20), Region: stream.Events[i%len(stream.Events)].Region}
	}
	for _, e := range stream.Events {
		events[e.Topic].Category = e.Category // its own: a second one makes it fork
	}
	events = append(events, stream.Events...)
	fill := topics + part
	for i := range events {
		if i < fill {
			events[i].At = start + messages.Hour*messages.Micros(i)/messages.Micros(fill)
		} else {
			events[i].At = start + messages.Hour + messages.Micros(i-fill)*messages.Second/200_000
		}
	}
	log := tape.Of(names, events).Log(tape.Layout{Partitions: shards, Request: request, Flush: 20_000})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := log.Engine(tape.Unbounded, nil)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	if err := log.Count(ctx, e, fill); err != nil {
		return 0, err
	}
	runtime.GC()
	before := bench.OwnCPU()
	if err := log.Count(ctx, e, log.Total()); err != nil {
		return 0, err
	}
	return float64((bench.OwnCPU() - before).Nanoseconds()) / float64(part), nil
}

// measureHot sends as many events of one topic as of all of them evenly, at
// 1,000,000 a second of their own time, to all cores.
func measureHot(ctx context.Context, c *config) ([]line, error) {
	even := tape.Hour(c.seed, c.events, c.topics)
	even.Exponent = 0
	uniform, err := tape.Record(even, c.events)
	if err != nil {
		return nil, err
	}
	hot := tape.Of(uniform.Topics, append([]tape.Event(nil), uniform.Events...))
	for i := range hot.Events {
		hot.Events[i].Topic, hot.Events[i].Category = hot.Events[0].Topic, hot.Events[0].Category
	}
	var rates [2]float64
	for i, t := range []*tape.Tape{hot, uniform} {
		if rates[i], err = c.throughput(ctx, t); err != nil {
			return nil, err
		}
	}
	return []line{{
		"one topic against the uniform stream: events/s", "1 ×", "2 ×",
		fmt.Sprintf("%s × (%s : %s)", bench.Number(rates[0]/rates[1]), bench.Number(rates[0]), bench.Number(rates[1])),
	}}, nil
}

// throughput is the events per second of a tape at 1,000,000 of its own.
func (c *config) throughput(ctx context.Context, t *tape.Tape) (float64, error) {
	log := t.Log(tape.Layout{Partitions: c.partitions, Request: request, Flush: flush, Rate: 1_000_000})
	runtime.GC()
	e, err := log.Engine(tape.Unbounded, nil)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	start := time.Now()
	if err := log.Count(ctx, e, log.Total()); err != nil {
		return 0, err
	}
	return float64(log.Total()) / time.Since(start).Seconds(), nil
}
