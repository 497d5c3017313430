package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
)

// config is what to compare; its flags say the rest.
type config struct {
	addr, bin string
	flags     string
	tables    bool
	shards    int
	memory    []string // budgets; one "": the node's default
	share     int
	svg       string
	k         int
	cells     int
	moments   int
	counts    int
	seed      uint64
	events    int
	topics    int
	span      time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, streams, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(2)
	}
	bench.Describe(os.Stdout, append([]string{"accuracy"}, os.Args[1:]...))
	if err := run(ctx, cfg, streams, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

func parse(args []string, w io.Writer) (*config, []string, error) {
	c := &config{}
	f := flag.NewFlagSet("accuracy", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&c.addr, "addr", "", "`address` of an empty node with --clock event; empty: start one for each stream")
	f.StringVar(&c.bin, "bin", "", "`path` of the crest binary to start; empty: build this checkout")
	f.StringVar(&c.flags, "flags", "", "further `flags` of crest serve, separated by blanks")
	memory := f.String("memory", "", "`budgets` of crest, such as 64MiB,128MiB, ascending: each stream is sent to a node of each; with -tables also shares of what the stream needs, such as 1/100,1/10")
	f.BoolVar(&c.tables, "tables", false, "compare tables in this process instead of a node")
	f.IntVar(&c.shards, "shards", 4, "with -tables: how many; each has its own fixed costs")
	f.IntVar(&c.share, "share", 7, "with -memory: lay peers beside, each board's with 1/`n` of it (7 windows); 0: none")
	f.StringVar(&c.svg, "svg", "", "with -memory: `folder` for a plot per stream, such as bench/results")
	f.IntVar(&c.k, "k", 100, "rows of a board")
	f.IntVar(&c.cells, "cells", 5, "categories, regions and pairs at each moment")
	f.IntVar(&c.moments, "moments", 5, "moments of a stream, its end included")
	f.IntVar(&c.counts, "counts", 20, "counts of single topics per window and cell")
	f.Uint64Var(&c.seed, "seed", 1, "of the choices, and of generated streams")
	f.IntVar(&c.events, "events", 200_000, "events of a generated stream")
	f.IntVar(&c.topics, "topics", 20_000, "topics of a generated stream")
	f.DurationVar(&c.span, "span", 48*time.Hour, "stream time of a generated stream")
	f.Usage = func() {
		fmt.Fprintf(w, "usage: accuracy [flags] [FILE.ndjson[.zst]|%s ...]\n", strings.Join(workload.MixNames, "|"))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	c.memory = strings.Split(*memory, ",")
	streams := f.Args()
	if len(streams) == 0 {
		streams = workload.MixNames
	}
	return c, streams, c.validate(streams)
}

func (c *config) validate(streams []string) error {
	switch {
	case c.k < 1 || c.k > 1000:
		return fmt.Errorf("-k %d: want 1 to 1000", c.k)
	case c.counts < 1 || c.counts > 1000:
		return fmt.Errorf("-counts %d: want 1 to 1000", c.counts)
	case c.cells < 0 || c.moments < 1 || c.events < 1:
		return fmt.Errorf("-cells %d, -moments %d, -events %d: want at least 0, 1, 1", c.cells, c.moments, c.events)
	case c.span < time.Second:
		return fmt.Errorf("-span %v: want at least 1s", c.span)
	case c.addr != "" && (len(streams) > 1 || c.memory[0] != ""):
		return fmt.Errorf("%d streams, memory %q: the node at -addr takes one stream and keeps its memory", len(streams), c.memory)
	case c.share < 0:
		return fmt.Errorf("-share %d: want 0 or more", c.share)
	case c.svg != "" && c.memory[0] == "":
		return errors.New("-svg draws against -memory: want budgets")
	}
	if c.tables && c.addr != "" {
		return errors.New("-tables: there is no node at -addr then")
	}
	if c.shards < 1 || c.shards > 64 {
		return fmt.Errorf("-shards %d: want 1 to 64", c.shards)
	}
	last := 0.0
	for _, m := range c.memory {
		if m == "" && len(c.memory) == 1 {
			break
		}
		n, share, err := budget(m)
		switch {
		case err != nil:
			return fmt.Errorf("-memory: %w", err)
		case share && !c.tables:
			return fmt.Errorf("-memory %s: shares of the need are for -tables", m)
		case n <= last:
			return fmt.Errorf("-memory %v: want ascending budgets, all sizes or all shares", c.memory)
		}
		last = n
	}
	return nil
}

// budget reads a size, or a share such as 1/10 of what a stream needs.
func budget(text string) (n float64, share bool, err error) {
	if part, whole, ok := strings.Cut(text, "/"); ok {
		p, err1 := strconv.ParseFloat(part, 64)
		w, err2 := strconv.ParseFloat(whole, 64)
		if err1 != nil || err2 != nil || !(p > 0 && p <= w) {
			return 0, true, fmt.Errorf("share %q: want one such as 1/10", text)
		}
		return p / w, true, nil
	}
	bytes, err := bench.ParseSize(text)
	return float64(bytes), false, err
}

// run compares every stream and prints its table.
func run(ctx context.Context, c *config, streams []string, w io.Writer) error {
	if c.addr == "" && c.bin == "" && !c.tables {
		dir, err := os.MkdirTemp("", "crest-accuracy")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if c.bin, err = bench.Build(ctx, dir); err != nil {
			return err
		}
	}
	lies := 0
	for _, name := range streams {
		n, err := c.sweep(ctx, name, w)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		lies += n
	}
	if lies > 0 {
		return fmt.Errorf("%d statements were false", lies)
	}
	return nil
}

// sweep compares one stream with every budget, and says how many statements
// were false.
func (c *config) sweep(ctx context.Context, name string, w io.Writer) (lies int, err error) {
	var surveys []*survey
	for _, memory := range c.memory {
		s, err := c.compare(ctx, name, memory)
		if err != nil {
			return 0, err
		}
		if err := s.print(w, c.share); err != nil {
			return 0, err
		}
		lies += s.lies()
		s.events = truth.Events{} // only its scores are wanted from here on
		surveys = append(surveys, s)
	}
	if c.svg == "" {
		return lies, nil
	}
	return lies, plot(c.svg, c.k, surveys)
}
