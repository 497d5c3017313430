package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// timed is a shard's table that notes how long it was busy at most: CPU time of
// its thread, so that what else runs on the machine is not taken for a stall. It
// is asked for no topic by its name, so it needs no hash of names.
type timed struct {
	*window.Table
	longest *atomic.Int64
}

func (t timed) Apply(d *window.Delta) { t.note(func() { t.Table.Apply(d) }) }

func (t timed) Slide(e messages.Micros) { t.note(func() { t.Table.Slide(e) }) }

func (t timed) note(work func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := bench.ThreadCPU()
	work()
	d := int64(bench.ThreadCPU() - before)
	for old := t.longest.Load(); old < d && !t.longest.CompareAndSwap(old, d); old = t.longest.Load() {
	}
}

// liveRate is events per second of their own time, flushed every 100 ms.
const liveRate = 200_000

// measureStall counts events that come live behind 31 days of others, with
// everything kept, then with a tenth of what that took.
func measureStall(ctx context.Context, c *config) ([]line, error) {
	t, first, err := c.live(liveRate)
	if err != nil {
		return nil, err
	}
	log := func() *tape.Log {
		return t.Log(tape.Layout{Partitions: c.partitions, Request: request, Flush: liveRate / 10})
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	all, err := c.stalls(ctx, log(), first, 0)
	if err != nil {
		return nil, err
	}
	tenth, err := c.stalls(ctx, log(), first, all.held/10)
	if err != nil {
		return nil, err
	}
	ms := func(d time.Duration) string { return bench.Number(float64(d.Microseconds())/1000) + " ms" }
	return []line{
		{"longest time a shard was busy with one delta or slide (CPU)", "20 ms", "5 ms", ms(all.longest)},
		{"  with a tenth of the memory", "20 ms", "5 ms", ms(tenth.longest)},
		{"CPU per event with a tenth of the memory", "2.5 ×", "1.5 ×", fmt.Sprintf("%s × (%s : %s ns)", bench.Number(tenth.cost/all.cost), bench.Number(tenth.cost), bench.Number(all.cost))},
		{"  memory held, of a tenth", "", "", fmt.Sprintf("%.2f", float64(tenth.held)/float64(all.held/10))},
	}, nil
}

// stalls is what one pass over a stream found.
type stalls struct {
	longest time.Duration
	cost    float64 // CPU, ns per event
	held    int64
}

// stalls counts a log and looks at what comes behind the first events; memory 0
// keeps everything.
func (c *config) stalls(ctx context.Context, log *tape.Log, first int, memory int64) (stalls, error) {
	var longest atomic.Int64
	cfg := window.Config{
		Hash:    func([]byte) uint64 { panic("limits: a topic was asked for by its name") },
		Memory:  memory / int64(c.partitions),
		Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2},
	}
	runtime.GC()
	e, err := log.Engine(tape.Unbounded, func() actors.Core { return timed{window.New(cfg), &longest} })
	if err != nil {
		return stalls{}, err
	}
	defer e.Close()
	if err := log.Count(ctx, e, first); err != nil {
		return stalls{}, err
	}
	longest.Store(0)
	before := bench.OwnCPU()
	if err := log.Count(ctx, e, log.Total()); err != nil {
		return stalls{}, err
	}
	used := e.MemoryUsed()
	return stalls{
		longest: time.Duration(longest.Load()),
		cost:    float64((bench.OwnCPU() - before).Nanoseconds()) / float64(log.Total()-first),
		held:    used.Engine(),
	}, nil
}
