package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
)

type config struct {
	events, topics int
	seed           uint64
	rate           float64
	live           time.Duration
	fill           float64
	flush          int
	partitions     int
	out            string
}

func main() {
	bench.Main("budget", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return cfg.run(ctx, w) }, err
	})
}

func parse(args []string, w io.Writer) (*config, error) {
	c := &config{}
	f := flag.NewFlagSet("budget", flag.ContinueOnError)
	f.SetOutput(w)
	f.IntVar(&c.events, "events", 10_000_000, "events of the stream")
	f.IntVar(&c.topics, "topics", 1_000_000, "topics of the stream")
	f.Uint64Var(&c.seed, "seed", 1, "of the stream")
	f.Float64Var(&c.rate, "rate", 1_000_000, "events per second of their own time")
	f.DurationVar(&c.live, "live", time.Minute, "time that they cover at least: the stream comes again and again until then")
	f.Float64Var(&c.fill, "fill", 0.5, "share of the events that are counted before the profile begins")
	f.IntVar(&c.flush, "flush", 0, "events between two flushes; 0: those of a tenth of a second")
	f.IntVar(&c.partitions, "partitions", 16, "shards")
	f.StringVar(&c.out, "o", "", "`file` to keep the profile in")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q: want flags alone", f.Arg(0))
	case c.events < 10_000 || c.topics < 1:
		return nil, fmt.Errorf("-events %d, -topics %d: want at least 10,000 and 1", c.events, c.topics)
	case c.rate < 100:
		return nil, fmt.Errorf("-rate %v: want at least 100", c.rate)
	case c.flush < 0:
		return nil, fmt.Errorf("-flush %d: want 0 or more", c.flush)
	case c.live < 0 || c.live > 24*time.Hour:
		return nil, fmt.Errorf("-live %v: want 0s to 24h", c.live)
	case !(c.fill >= 0 && c.fill <= 0.9):
		return nil, fmt.Errorf("-fill %v: want 0 to 0.9", c.fill)
	case c.partitions < 1 || c.partitions > 1024:
		return nil, fmt.Errorf("-partitions %d: want 1 to 1,024", c.partitions)
	}
	return c, nil
}

// request is how many events a frame has.
const request = 1000

func (c *config) run(ctx context.Context, w io.Writer) error {
	if c.out == "" {
		dir, err := os.MkdirTemp("", "crest-budget")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		c.out = filepath.Join(dir, "cpu.pprof")
	}
	used, counted, err := c.profile(ctx)
	if err != nil {
		return err
	}
	samples, err := readProfile(ctx, c.out)
	if err != nil {
		return err
	}
	return c.report(w, samples, used, counted)
}

// profile counts the stream, profiles the part behind the fill, and returns the
// CPU time and the number of events of that.
func (c *config) profile(ctx context.Context) (used time.Duration, counted int, err error) {
	t, err := tape.Record(tape.Hour(c.seed, c.events, c.topics), c.events)
	if err != nil {
		return 0, 0, err
	}
	if c.flush == 0 {
		c.flush = max(1, int(c.rate/10))
	}
	log := t.Log(tape.Layout{
		Partitions: c.partitions, Request: request, Flush: c.flush,
		Rate: c.rate, Loops: max(1, int(math.Ceil(c.rate*c.live.Seconds()/float64(c.events)))),
	})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := log.Engine(tape.Unbounded, nil)
	if err != nil {
		return 0, 0, err
	}
	defer e.Close()
	fill := max(request, int(c.fill*float64(log.Total()))/request*request)
	if err := log.Count(ctx, e, fill); err != nil {
		return 0, 0, err
	}
	runtime.GC()
	f, err := os.Create(c.out)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return 0, 0, err
	}
	before := bench.OwnCPU()
	err = log.Count(ctx, e, log.Total())
	used = bench.OwnCPU() - before
	pprof.StopCPUProfile()
	return used, log.Total() - fill, err
}
