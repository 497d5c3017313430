package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// plain is a structure in this process, fed by a loop: no log, no window, no
// other goroutine.
type plain struct {
	add   func(*tape.Event)
	board func(question) []row
	cells int // how many of the judge's it knows
}

// plainReads are taken in the last quarter, between two events: a structure
// without locks cannot be read while it is written.
const plainReads = 20

func measurePlain(t *trial, make func() *plain) (*reading, error) {
	r := &reading{}
	return r, alone(func() error {
		empty := heap()
		p := make()
		n := t.firstPart(t.events)
		first, rest := t.tape.Events[:n], t.tape.Events[n:]
		start, own := time.Now(), bench.OwnCPU()
		for i := range first {
			p.add(&first[i])
		}
		r.paces(len(first), time.Since(start), bench.OwnCPU()-own, 0)
		for n := range uint64(plainReads) {
			for part := rest[uint64(len(rest))*n/plainReads : uint64(len(rest))*(n+1)/plainReads]; len(part) > 0; part = part[1:] {
				p.add(&part[0])
			}
			asked := time.Now()
			p.board(t.question(n))
			r.reads = append(r.reads, time.Since(asked))
		}
		r.held = heap() - empty
		for _, cell := range t.judge.cells[:min(p.cells, len(t.judge.cells))] {
			t.judge.board(&r.found, cell, p.board(question{messages.WindowAll, cell}))
		}
		return nil
	})
}

// mapSubject is a Go map per window and cell, sorted when it is read.
type mapSubject struct {
	windows int // 4 cells for each; 0: one map for everything
}

func (s mapSubject) measure(_ context.Context, t *trial) (*reading, error) {
	return measurePlain(t, func() *plain { return s.new(t) })
}

func (s mapSubject) new(t *trial) *plain {
	maps := map[target]map[string]uint64{}
	names := map[messages.Cell]target{}
	redis := redisSubject{windows: s.windows} // the same sets
	p := &plain{cells: len(t.judge.cells)}
	if s.windows == 0 {
		p.cells = 1
	}
	p.add = func(e *tape.Event) {
		_ = redis.each(e, func(k target) error {
			m := maps[k]
			if m == nil {
				m = map[string]uint64{}
				maps[k] = m
				names[messages.Cell{Category: tape.CategoryName(k.category), Region: tape.RegionName(k.region)}] = k
			}
			m[t.tape.Topics[e.Topic]]++
			return nil
		})
	}
	p.board = func(q question) []row {
		if s.windows == 0 {
			q = question{window: messages.WindowAll}
		}
		k := names[q.cell]
		k.window = uint8(slices.Index(readWindows, q.window))
		rows := make([]row, 0, len(maps[k]))
		for topic, n := range maps[k] {
			rows = append(rows, row{topic, float64(n)})
		}
		slices.SortFunc(rows, func(a, b row) int {
			return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.topic, b.topic))
		})
		return rows[:min(boardRows, len(rows))]
	}
	return p
}

// countMinBytes is room for an error of about 1 in 50,000 of the stream.
const countMinBytes = 4 << 20

func measureCountMin(_ context.Context, t *trial) (*reading, error) {
	return measurePlain(t, func() *plain {
		sketch := counters.Kinds[0].New(countMinBytes, boardRows)
		return &plain{
			cells: 1,
			add:   func(e *tape.Event) { sketch.Add(t.tape.Topics[e.Topic], 1) },
			board: func(question) []row {
				var rows []row
				for _, r := range sketch.Board(boardRows).Rows {
					rows = append(rows, row{r.Topic, float64(r.Estimate)})
				}
				return rows
			},
		}
	})
}
