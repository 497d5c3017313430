package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// epoch is where the events' own time ends: at noon, on every grid.
const epoch = 1_700_049_600 * messages.Second

// whole is how far back events lie.
const whole = 31 * messages.Day

// requests and flushes as a busy node has them.
const (
	request = 1000
	flush   = 100_000
)

// aged is the stream with its ages spread evenly over their logarithms.
func (c *config) aged() (*tape.Tape, error) {
	t, err := tape.Record(tape.Hour(c.seed, c.events, c.topics), c.events)
	if err != nil {
		return nil, err
	}
	spread(t.Events, epoch)
	return t, nil
}

// spread gives events ages evenly spread over their logarithms, from 31 days to a
// second before the end.
func spread(events []tape.Event, end messages.Micros) {
	oldest := math.Log(float64(whole / messages.Second))
	for i := range events {
		age := math.Exp(oldest * (1 - float64(i)/float64(len(events))))
		events[i].At = end - messages.Micros(age*float64(messages.Second))
	}
}

// live is the stream with its first half aged, and its second half at so many
// events a second, with the epoch in the middle of it: there slices of all tiers
// end at once. first is the number of the aged ones.
func (c *config) live(perSecond int) (t *tape.Tape, first int, err error) {
	if t, err = tape.Record(tape.Hour(c.seed, c.events, c.topics), c.events); err != nil {
		return nil, 0, err
	}
	first = c.events / 2 / request * request
	rest := t.Events[first:]
	start := epoch - messages.Micros(len(rest)/2)*messages.Second/messages.Micros(perSecond)
	spread(t.Events[:first], start)
	for i := range rest {
		rest[i].At = start + messages.Micros(i)*messages.Second/messages.Micros(perSecond)
	}
	return t, first, nil
}

func (c *config) log(t *tape.Tape) *tape.Log {
	return t.Log(tape.Layout{Partitions: c.partitions, Request: request, Flush: flush})
}

// filled is an engine that has counted the aged stream; memory 0 keeps
// everything.
func (c *config) filled(ctx context.Context, memory int64) (*tape.Tape, *actors.Engine, error) {
	t, err := c.aged()
	if err != nil {
		return nil, nil, err
	}
	if memory == 0 {
		memory = tape.Unbounded
	}
	log := c.log(t)
	e, err := log.Engine(memory, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := log.Count(ctx, e, log.Total()); err != nil {
		e.Close()
		return nil, nil, err
	}
	return t, e, nil
}

// topicNames are n names of 11 characters in no order.
func topicNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		var raw [8]byte
		binary.BigEndian.PutUint64(raw[:], uint64(i+1)*0x9e3779b97f4a7c15)
		names[i] = base64.RawURLEncoding.EncodeToString(raw[:])
	}
	return names
}
