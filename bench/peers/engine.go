package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// engineSubject is crest's engine without a gateway and a disk: what it takes
// from encoded records to ranked windows.
type engineSubject struct {
	// rate is how many events arrive per second, counted at their arrival; they
	// come again and again until -live is over. 0: as in the stream.
	rate  float64
	keys  bool
	tenth bool
	cores bool // all there are, rather than one
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
	layout := tape.Layout{Partitions: t.partitions, Request: t.request, Flush: t.flush, Keys: s.keys, Rate: s.rate}
	if s.rate > 0 {
		layout.Flush = int(s.rate / flushesPerSecond)
		layout.Loops = int(math.Ceil(s.rate * t.live.Seconds() / float64(t.events)))
	}
	log := t.tape.Log(layout)
	r, on := &reading{}, alone
	if s.cores {
		on = together
	}
	return r, on(func() error { return s.drive(ctx, t, log, memory, r) })
}

func (s engineSubject) drive(ctx context.Context, t *trial, log *tape.Log, memory int64, r *reading) error {
	empty := heap()
	e, err := log.Engine(memory, nil)
	if err != nil {
		return err
	}
	defer e.Close()
	first := t.firstPart(log.Total())
	start, own := time.Now(), bench.OwnCPU()
	if err := log.Count(ctx, e, first); err != nil {
		return err
	}
	r.paces(first, time.Since(start), bench.OwnCPU()-own, 0)
	// Reads share a core with the counting only where there is no other.
	if err := onCores(runtime.NumCPU(), func() error { return s.read(ctx, t, log, e, r) }); err != nil {
		return err
	}
	if err := log.Count(ctx, e, log.Total()); err != nil {
		return err
	}
	return s.look(ctx, t, log, e, empty, r)
}

// read reads boards while events come.
func (s engineSubject) read(ctx context.Context, t *trial, log *tape.Log, e *actors.Engine, r *reading) error {
	var err error
	r.reads, err = t.reading(ctx, func(ctx context.Context, _ int, q question) error {
		_, err := e.Board(ctx, &messages.BoardQuery{Window: q.window, Cell: q.cell, K: boardRows})
		return err
	}, func() error {
		first, n := t.firstPart(log.Total()), t.secondPart(log.Total(), r)
		for at, p := 0, half(r); at < n; at += t.request {
			if err := p.wait(ctx, at); err != nil {
				return err
			}
			log.Release(first + at + t.request)
		}
		return nil
	})
	return err
}

// look takes what the engine holds, and judges its boards; empty is the heap
// before it.
func (s engineSubject) look(ctx context.Context, t *trial, log *tape.Log, e *actors.Engine, empty int64, r *reading) error {
	used := e.MemoryUsed()
	r.held = used.Engine()
	if grown := heap() - empty; !s.tenth && grown < r.held/2 {
		return fmt.Errorf("the engine says that it holds %d bytes, the heap grew by %d", r.held, grown)
	}
	if s == (engineSubject{}) {
		t.need = max(t.need, r.held)
	}
	for _, cell := range t.judge.cells {
		b, err := e.Board(ctx, &messages.BoardQuery{Window: messages.WindowAll, Cell: cell, K: boardRows, After: log.Release(log.Total())})
		if err != nil {
			return err
		}
		var rows []row
		for _, got := range b.Rows {
			if n := uint64(log.Loops) * t.judge.tallies[cell].Count(got.Topic); n < got.Count.Lower || n > got.Count.Upper {
				return fmt.Errorf("board of %+v: %q has %d, said to be %d to %d", cell, got.Topic, n, got.Count.Lower, got.Count.Upper)
			}
			rows = append(rows, row{got.Topic, float64(got.Count.Lower) / float64(log.Loops)})
		}
		t.judge.board(&r.found, cell, rows)
	}
	return nil
}
