package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/bench"
)

func main() {
	bench.Main("accuracy", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, streams, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return run(ctx, cfg, streams, w) }, err
	})
}

// run compares every stream and prints its tables.
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
	all, err := c.compareAll(ctx, streams, w)
	if err != nil {
		return err
	}
	if c.report != "" {
		if err := c.writeReport(all); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	lies := 0
	for _, s := range all {
		for _, v := range s.surveys {
			lies += v.all().lies
		}
	}
	if lies > 0 {
		return fmt.Errorf("%d statements were false", lies)
	}
	return nil
}

// compareAll compares the streams, as many at a time as there are cores (nodes:
// one), and prints each in its turn.
func (c *config) compareAll(ctx context.Context, streams []string, w io.Writer) ([]*course, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(1)
	if c.tables {
		g.SetLimit(runtime.NumCPU())
	}
	all, done := make([]*course, len(streams)), make([]chan struct{}, len(streams))
	for i := range done {
		done[i] = make(chan struct{})
	}
	var printing errgroup.Group
	failed := make(chan struct{})
	printing.Go(func() error {
		for i := range all {
			select {
			case <-done[i]:
			case <-failed: // g says why
				return nil
			}
			if err := all[i].print(w); err != nil {
				return err
			}
		}
		return nil
	})
	for i, name := range streams {
		g.Go(func() (err error) {
			if all[i], err = c.compare(ctx, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			close(done[i])
			return nil
		})
	}
	err := g.Wait()
	if err != nil {
		close(failed)
	}
	return all, errors.Join(err, printing.Wait())
}
