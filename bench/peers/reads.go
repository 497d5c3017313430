package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// boardRows of every board that is read or judged.
const boardRows = 100

// readWindows are the windows of Redis' keys, and of all boards that are read.
var readWindows = []messages.Window{messages.Window5m, messages.Window10m, messages.Window1h, messages.Window24h, messages.WindowAll}

// question is a board to read.
type question struct {
	window messages.Window
	cell   messages.Cell
}

// question is the i-th board read: a random window; of the four kinds of cells
// each as often, those of a random event, so that large cells are asked for
// most.
func (t *trial) question(i uint64) question {
	rng := rand.New(rand.NewPCG(t.seed, i))
	e := &t.tape.Events[rng.IntN(len(t.tape.Events))]
	q := question{window: readWindows[rng.IntN(len(readWindows))]}
	if rng.IntN(2) == 0 {
		q.cell.Category = tape.CategoryName(e.Category)
	}
	if rng.IntN(2) == 0 {
		q.cell.Region = tape.RegionName(e.Region)
	}
	return q
}

// latencies are of reads, from when they were due.
type latencies []time.Duration

func (l latencies) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[int(share*float64(len(l)-1))]
}

// readers is how many reads are under way at once.
const readers = 8

// reading reads boards at the rate while work runs. ask is called by the
// readers at once, each with its number.
func (t *trial) reading(ctx context.Context, ask func(ctx context.Context, reader int, q question) error, work func() error) (latencies, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		start = time.Now()
		next  atomic.Uint64
		wg    sync.WaitGroup
		each  [readers]latencies
		errs  [readers]error
	)
	for r := range readers {
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				due := start.Add(time.Duration(float64(n) / t.reads * float64(time.Second)))
				if !until(ctx, due) {
					return
				}
				if err := ask(ctx, r, t.question(n)); err != nil {
					if ctx.Err() == nil {
						errs[r] = err
					}
					return
				}
				each[r] = append(each[r], time.Since(due))
			}
		})
	}
	err := work()
	cancel()
	wg.Wait()
	return slices.Concat(each[:]...), errors.Join(append(errs[:], err)...)
}

// until waits for a moment; false: ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
