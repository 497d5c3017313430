package main

import (
	"context"
	"fmt"
	"time"

	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// engineSubject is crest's engine without a gateway and a disk: what it takes
// from encoded records to ranked windows, on one core.
type engineSubject struct {
	rate  float64 // events per second of their own time; 0: as in the stream
	keys  bool
	tenth bool
}

// flushesPerSecond of a busy engine, at least.
const flushesPerSecond = 10

func (s engineSubject) measure(ctx context.Context, t *trial) (*reading, error) {
	memory := int64(tape.Unbounded)
	if s.tenth {
		if t.need == 0 {
			if err := t.learnNeed(ctx); err != nil {
				return nil, err
			}
		}
		memory = t.need / 10
	}
	events, flush := t.tape, t.flush
	if s.rate > 0 {
		events, flush = events.AtRate(s.rate), int(s.rate/flushesPerSecond)
	}
	log := events.Log(tape.Layout{Partitions: t.partitions, Request: t.request, Flush: flush, Keys: s.keys})
	r := &reading{}
	return r, alone(func() error { return s.drive(ctx, t, log, memory, r) })
}

func (s engineSubject) drive(ctx context.Context, t *trial, log *tape.Log, memory int64, r *reading) error {
	empty := heap()
	e, err := log.Engine(memory, nil)
	if err != nil {
		return err
	}
	defer e.Close()
	start, own := time.Now(), ownCPU()
	if err := log.Count(ctx, e, t.firstPart()); err != nil {
		return err
	}
	r.paces(t.firstPart(), time.Since(start), ownCPU()-own, 0)
	r.reads, err = t.reading(ctx, func(ctx context.Context, _ int, q question) error {
		_, err := e.Board(ctx, &messages.BoardQuery{Window: q.window, Cell: q.cell, K: boardRows})
		return err
	}, func() error {
		for n, p := 0, half(r); n < t.secondPart(r); n += t.request {
			if err := p.wait(ctx, n); err != nil {
				return err
			}
			log.Release(t.firstPart() + n + t.request)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := log.Count(ctx, e, t.events); err != nil {
		return err
	}
	used := e.MemoryUsed()
	r.held = used.Engine()
	if grown := heap() - empty; !s.tenth && grown < r.held/2 {
		return fmt.Errorf("the engine says that it holds %d bytes, the heap grew by %d", r.held, grown)
	}
	if s == (engineSubject{}) {
		t.need = max(t.need, r.held)
	}
	for _, cell := range t.judge.cells {
		b, err := e.Board(ctx, &messages.BoardQuery{Window: messages.WindowAll, Cell: cell, K: boardRows, After: log.Release(t.events)})
		if err != nil {
			return err
		}
		var rows []row
		for _, got := range b.Rows {
			if n := t.judge.tallies[cell].Count(got.Topic); n < got.Count.Lower || n > got.Count.Upper {
				return fmt.Errorf("board of %+v: %q has %d, said to be %d to %d", cell, got.Topic, n, got.Count.Lower, got.Count.Upper)
			}
			rows = append(rows, row{got.Topic, float64(got.Count.Lower)})
		}
		t.judge.board(&r.found, cell, rows)
	}
	return nil
}
