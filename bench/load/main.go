package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
)

// config is what to measure; its flags say the rest.
type config struct {
	addr, bin string
	flags     string
	span      time.Duration
	warmup    time.Duration
	repeat    int

	mix    string
	format string
	topics int
	seed   uint64
	ids    bool

	rate        float64
	batch       int
	connections int
	clients     int
	background  float64
	probes      float64
	reads       float64
	top         int
	boards      int
}

func main() {
	bench.Main("load", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, modes, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return run(ctx, cfg, modes, w) }, err
	})
}

// mode is one kind of measurement.
type mode struct {
	name    string
	title   string
	measure func(context.Context, *config, *target) (*measures, error)
}

var allModes = []mode{
	{"batch", "requests of many events, acknowledged when durable", measureBatch},
	{"single", "one event per request, acknowledged when durable", measureSingle},
	{"visible", "from an event to what it changes", measureVisible},
	{"read", "boards under load", measureRead},
}

func parse(args []string, w io.Writer) (*config, []mode, error) {
	c := &config{}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&c.addr, "addr", "", "`address` of a running node; empty: start one for each repeat")
	f.StringVar(&c.bin, "bin", "", "`path` of the crest binary to start; empty: build this checkout")
	f.StringVar(&c.flags, "flags", "", "further `flags` of crest serve, separated by blanks")
	f.DurationVar(&c.span, "for", 10*time.Second, "length of a repeat")
	f.DurationVar(&c.warmup, "warmup", 2*time.Second, "time under load before it")
	f.IntVar(&c.repeat, "repeat", 3, "number of repeats")
	f.StringVar(&c.mix, "mix", "steady", "kind of stream: "+strings.Join(workload.MixNames, ", "))
	f.StringVar(&c.format, "format", formatNDJSON, "form of the events: "+formatNDJSON+" or "+formatMsgpack)
	f.IntVar(&c.topics, "topics", 100_000, "number of topics")
	f.Uint64Var(&c.seed, "seed", 1, "of the stream")
	f.BoolVar(&c.ids, "ids", false, "events carry an event_id")
	f.Float64Var(&c.rate, "rate", 0, "batch, single: events/s; 0: as fast as possible")
	f.IntVar(&c.batch, "batch", 1000, "events per request, in every mode but single")
	f.IntVar(&c.connections, "connections", 8, "connections that send batches")
	f.IntVar(&c.clients, "clients", 64, "single: clients, each with a connection")
	f.Float64Var(&c.background, "background", 100_000, "visible, read: events/s that come in meanwhile")
	f.Float64Var(&c.probes, "probes", 20, "visible: events/s that are watched")
	f.Float64Var(&c.reads, "reads", 200, "read: boards/s")
	f.IntVar(&c.top, "top", 100, "read: rows of a board")
	f.IntVar(&c.boards, "boards", 0, "read: ask for so many different boards only; 0: any")
	f.Usage = func() {
		fmt.Fprintln(w, "usage: load [flags] [batch|single|visible|read ...]")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	modes := allModes
	if f.NArg() > 0 {
		modes = nil
		for _, name := range f.Args() {
			i := slices.IndexFunc(allModes, func(m mode) bool { return m.name == name })
			if i < 0 {
				return nil, nil, fmt.Errorf("mode %q: want batch, single, visible or read", name)
			}
			modes = append(modes, allModes[i])
		}
	}
	return c, modes, c.validate()
}

func (c *config) validate() error {
	switch {
	case c.span < time.Second:
		return fmt.Errorf("-for %v: want at least 1s", c.span)
	case c.warmup < 0:
		return fmt.Errorf("-warmup %v: want 0s or more", c.warmup)
	case c.repeat < 1:
		return fmt.Errorf("-repeat %d: want at least 1", c.repeat)
	case c.batch < 1 || c.batch > 100_000:
		return fmt.Errorf("-batch %d: want 1 to 100000", c.batch)
	case contentTypes[c.format] == "":
		return fmt.Errorf("-format %s: want %s or %s", c.format, formatNDJSON, formatMsgpack)
	case c.connections < 1 || c.clients < 1:
		return fmt.Errorf("-connections %d, -clients %d: want at least 1", c.connections, c.clients)
	case c.rate < 0 || c.background < 0:
		return fmt.Errorf("-rate %v, -background %v: want 0 or more", c.rate, c.background)
	case c.probes <= 0 || c.reads <= 0:
		return fmt.Errorf("-probes %v, -reads %v: want above 0", c.probes, c.reads)
	case c.boards < 0:
		return fmt.Errorf("-boards %d: want 0 or more", c.boards)
	case c.top < 1 || c.top > 1000:
		return fmt.Errorf("-top %d: want 1 to 1000", c.top)
	}
	_, err := c.source()
	return err
}

// run measures every mode and prints its table.
func run(ctx context.Context, c *config, modes []mode, w io.Writer) error {
	if c.addr == "" && c.bin == "" {
		dir, err := os.MkdirTemp("", "crest-load")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if c.bin, err = bench.Build(ctx, dir); err != nil {
			return err
		}
	}
	for _, m := range modes {
		all := &measures{}
		for range c.repeat {
			got, err := once(ctx, c, &m)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			all.merge(got)
			c.seed++ // a node that runs on has seen the ids of this one
		}
		table := all.table(fmt.Sprintf("%s: %s (%d × %v)", m.name, m.title, c.repeat, c.span))
		if _, err := table.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// once is one repeat of a mode.
func once(ctx context.Context, c *config, m *mode) (got *measures, err error) {
	t, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	got, err = m.measure(ctx, c, t)
	if err != nil {
		return nil, err
	}
	return got, t.account(ctx, got)
}
