package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
)

// config is what to measure; its flags say the rest.
type config struct {
	bin        string
	redis      string
	cpuprofile string

	events, topics int
	seed           uint64
	runs           int

	request     int
	connections int
	partitions  int
	flush       int
	pipeline    int
	reads       float64
	readFor     time.Duration
	live        time.Duration

	built string // folder to remove, if the binary was built here
	need  int64  // bytes that crest's engine took with everything kept, once known
}

func main() {
	bench.Main("peers", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, chosen, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return cfg.run(ctx, chosen, w) }, err
	})
}

func parse(args []string, w io.Writer) (*config, []subject, error) {
	c := &config{}
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&c.bin, "bin", "", "`path` of the crest binary to start; empty: build this checkout")
	f.StringVar(&c.redis, "redis", "redis-server", "`path` of redis-server, or its name in PATH")
	f.StringVar(&c.cpuprofile, "cpuprofile", "", "`file` to write a CPU profile of this process to")
	f.IntVar(&c.events, "events", 10_000_000, "events of the stream, within an hour")
	f.IntVar(&c.topics, "topics", 1_000_000, "topics of the stream")
	f.Uint64Var(&c.seed, "seed", 1, "of the stream")
	f.IntVar(&c.runs, "runs", 1, "repetitions; the subjects take turns")
	f.IntVar(&c.request, "request", 1000, "crest: events per request")
	f.IntVar(&c.connections, "connections", 8, "crest/http: connections that send")
	f.IntVar(&c.partitions, "partitions", 16, "crest: shards")
	f.IntVar(&c.flush, "flush", 100_000, "crest/engine: events between two flushes, where the subject names no rate; redis: events that a client combines")
	f.IntVar(&c.pipeline, "pipeline", 1000, "redis: commands sent at once, on each of two connections")
	f.Float64Var(&c.reads, "reads", 20, "boards read per second")
	f.DurationVar(&c.readFor, "for", 10*time.Second, "how long they are read at most")
	f.DurationVar(&c.live, "live", 6*time.Minute, "crest/engine at a rate: time that the events cover at least; below 5m none leaves a window")
	f.Usage = func() {
		fmt.Fprintln(w, "usage: peers [flags] [SUBJECT ...]\nsubjects:", strings.Join(names(subjects), " "))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	switch {
	case c.events < 20_000:
		return nil, nil, fmt.Errorf("-events %d: want at least 20,000", c.events)
	case c.topics < 1000 || c.topics > 1<<31:
		return nil, nil, fmt.Errorf("-topics %d: want 1,000 to 2^31", c.topics)
	case c.runs < 1:
		return nil, nil, fmt.Errorf("-runs %d: want at least 1", c.runs)
	case c.request < 1 || c.request > 10_000 || c.connections < 1 || c.flush < 1 || c.pipeline < 1:
		return nil, nil, errors.New("-request (at most 10,000), -connections, -flush, -pipeline: want at least 1")
	case c.partitions < 1 || c.partitions > 1024:
		return nil, nil, fmt.Errorf("-partitions %d: want 1 to 1,024", c.partitions)
	case c.live < 0 || c.live > 24*time.Hour:
		return nil, nil, fmt.Errorf("-live %v: want 0s to 24h", c.live)
	case c.readFor < 100*time.Millisecond:
		return nil, nil, fmt.Errorf("-for %v: want at least 100ms", c.readFor)
	case c.reads <= 0 || c.reads > 1e6:
		return nil, nil, fmt.Errorf("-reads %v: want above 0, at most 1,000,000", c.reads)
	}
	chosen, err := choose(f.Args())
	return c, chosen, err
}

// choose finds the subjects with one of these names, where there is none those
// whose names begin with it; all if nothing is asked for.
func choose(asked []string) ([]subject, error) {
	if len(asked) == 0 {
		return subjects, nil
	}
	isChosen := make([]bool, len(subjects))
	for _, name := range asked {
		fits := func(s subject) bool { return s.name == name }
		if !slices.ContainsFunc(subjects, fits) {
			fits = func(s subject) bool { return strings.HasPrefix(s.name, name) }
		}
		if !slices.ContainsFunc(subjects, fits) {
			return nil, fmt.Errorf("subject %q: want one of %s, or how some begin", name, strings.Join(names(subjects), ", "))
		}
		for i, s := range subjects {
			isChosen[i] = isChosen[i] || fits(s)
		}
	}
	var chosen []subject
	for i, s := range subjects {
		if isChosen[i] {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// run measures the subjects in turn and prints the tables.
func (c *config) run(ctx context.Context, chosen []subject, w io.Writer) error {
	if err := c.prepare(ctx, chosen); err != nil {
		return err
	}
	if c.built != "" {
		defer os.RemoveAll(c.built)
	}
	t, err := tape.Record(tape.Hour(c.seed, c.events, c.topics), c.events)
	if err != nil {
		return err
	}
	j := newJudge(t)
	if c.cpuprofile != "" {
		f, err := os.Create(c.cpuprofile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	results := make([]result, len(chosen))
	for i, s := range chosen {
		results[i].subject = s
	}
	for n := range c.runs {
		for i := range results {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", n+1, c.runs, results[i].name)
			r, err := results[i].measure(ctx, &trial{config: c, tape: t, judge: j})
			if err != nil {
				return fmt.Errorf("%s: %w", results[i].name, err)
			}
			results[i].readings = append(results[i].readings, r)
		}
	}
	return c.report(w, t, results)
}
