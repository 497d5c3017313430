package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench"
)

// config is the size of what is measured.
type config struct {
	events, topics int
	seed           uint64
	partitions     int
	asks           int
}

// row is a group of lines of the table.
type row struct {
	name    string
	measure func(context.Context, *config) ([]line, error)
}

// line is one of the table; must and aim may be empty.
type line struct{ what, must, aim, measured string }

var rows = []row{
	{"cold", measureCold},
	{"interval", measureInterval},
	{"history", measureHistory},
	{"growth", measureGrowth},
	{"memory", measureMemory},
	{"exact", measureExact},
	{"hot", measureHot},
	{"stall", measureStall},
}

func main() {
	bench.Main("limits", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, chosen, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return cfg.run(ctx, chosen, w) }, err
	})
}

func parse(args []string, w io.Writer) (*config, []row, error) {
	c := &config{}
	var all []string
	for _, r := range rows {
		all = append(all, r.name)
	}
	f := flag.NewFlagSet("limits", flag.ContinueOnError)
	f.SetOutput(w)
	f.IntVar(&c.events, "events", 10_000_000, "events of a stream")
	f.IntVar(&c.topics, "topics", 1_000_000, "topics of a stream")
	f.Uint64Var(&c.seed, "seed", 1, "of streams and choices")
	f.IntVar(&c.partitions, "partitions", 16, "shards")
	f.IntVar(&c.asks, "asks", 500, "questions of a kind")
	f.Usage = func() {
		fmt.Fprintln(w, "usage: limits [flags] [ROW ...]\nrows:", strings.Join(all, " "))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	switch {
	case c.events < 10_000 || c.topics < 1000 || c.topics > c.events:
		return nil, nil, fmt.Errorf("-events %d, -topics %d: want at least 10,000 events and 1,000 topics, no more topics than events", c.events, c.topics)
	case c.partitions < 1 || c.partitions > 1024:
		return nil, nil, fmt.Errorf("-partitions %d: want 1 to 1,024", c.partitions)
	case c.asks < 10:
		return nil, nil, fmt.Errorf("-asks %d: want at least 10", c.asks)
	}
	if f.NArg() == 0 {
		return c, rows, nil
	}
	var chosen []row
	for _, name := range f.Args() {
		i := slices.Index(all, name)
		if i < 0 {
			return nil, nil, fmt.Errorf("row %q: want one of %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, rows[i])
	}
	return c, chosen, nil
}

func (c *config) run(ctx context.Context, chosen []row, w io.Writer) error {
	t := &bench.Table{
		Title: fmt.Sprintf("%s events, %s topics, 200 regions, 20 categories, %d shards", bench.Number(float64(c.events)), bench.Number(float64(c.topics)), c.partitions),
		Head:  []string{"what", "must", "aim", "measured"},
	}
	for _, r := range chosen {
		fmt.Fprintln(os.Stderr, r.name)
		lines, err := r.measure(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		for _, l := range lines {
			t.Add(l.what, l.must, l.aim, l.measured)
		}
	}
	_, err := t.WriteTo(w)
	return err
}
