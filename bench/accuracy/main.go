package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
)

// config is what to compare; its flags say the rest.
type config struct {
	addr, bin string
	flags     string
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
	case c.addr != "" && len(streams) > 1:
		return fmt.Errorf("%d streams: the node at -addr can take one", len(streams))
	}
	return nil
}

// run compares every stream and prints its table.
func run(ctx context.Context, c *config, streams []string, w io.Writer) error {
	if c.addr == "" && c.bin == "" {
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
		s, err := c.compare(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := s.print(w); err != nil {
			return err
		}
		lies += s.lies()
	}
	if lies > 0 {
		return fmt.Errorf("%d statements were false", lies)
	}
	return nil
}
