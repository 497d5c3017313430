package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

func newDemo(w world) *cobra.Command {
	d := &demo{world: w}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a node on a lively generated stream and watch the board move",
		Long: `Run a node with its defaults, send it a generated stream of video views through
its HTTP address (20 categories, 200 regions, one video going viral every
minute), and show the board moving until interrupted. All it keeps is removed
at the end unless --data is given. While it runs, every other command and the
address it prints work too.`,
		Example: `  crest demo
  crest demo --rate 50000 --for 2m
  crest top --watch --window 5m --region IN     # in another terminal`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d.httpGiven = c.Flags().Changed("http")
			return d.run(c.Context())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().Var((*durationFlag)(&d.length), "for", "end after this time (default when interrupted)")
	d.rate = 20_000
	c.Flags().Var((*rateFlag)(&d.rate), "rate", "events per second")
	c.Flags().Uint64Var(&d.seed, "seed", 1, "`SEED` of the stream; the same one gives the same stream")
	c.Flags().StringVar(&d.data, "data", "", "keep the node's data in this `DIR` (default a temporary one)")
	c.Flags().StringVar(&d.http, "http", "127.0.0.1:8080", "`ADDR` to listen on; if the default is taken, a free one is used")
	return c
}

type demo struct {
	world
	length    time.Duration
	rate      float64
	seed      uint64
	data      string
	http      string
	httpGiven bool
}

func (d *demo) run(ctx context.Context) (err error) {
	stream, err := d.stream()
	if err != nil {
		return err
	}
	if d.data == "" {
		if d.data, err = os.MkdirTemp("", "crest-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.data)) }()
	}
	n, err := d.node()
	if err != nil {
		return err
	}
	c, err := client.New(n.Addr(), client.WithConnections(feedSenders+4))
	if err != nil {
		return errors.Join(err, n.Close())
	}
	defer c.Close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-ended:
		return err
	}
	err = d.play(ctx, n, c, stream)
	c.Close() // a drain waits for connections on which nothing was asked yet
	cancel()
	return errors.Join(err, <-ended)
}

func (d *demo) stream() (*workload.Stream, error) {
	c, err := workload.Mix("lively")
	if err != nil {
		return nil, err
	}
	c.Seed, c.Rate, c.Start = d.seed, d.rate, messages.MicrosOf(time.Now())
	stream, err := workload.New(c)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return stream, nil
}

// node starts the node: on the address asked for, or if nobody asked and the
// usual one is taken, on a free one.
func (d *demo) node() (*node.Node, error) {
	cfg := node.DefaultConfig()
	cfg.Data, cfg.HTTP, cfg.Version = d.data, d.http, versionText()
	cfg.Logger = newLogger(d.world, slog.LevelError, "text")
	n, err := node.New(cfg)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return n, err
	}
	if d.httpGiven {
		return nil, fmt.Errorf("%s is taken: leave --http out, or give another address (%w)", d.http, err)
	}
	cfg.HTTP = "127.0.0.1:0"
	return node.New(cfg)
}

// play feeds the node and shows the board until ctx or the time given ends.
func (d *demo) play(ctx context.Context, n *node.Node, c *client.Client, stream *workload.Stream) error {
	if d.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.length)
		defer cancel()
	}
	began := time.Now()
	f := newFeeder(c, stream, d.rate)
	s := &show{world: d.world, node: c, feeder: f, url: "http://" + n.Addr() + "/", began: began}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.run(ctx) })
	g.Go(func() error { return s.run(ctx) })
	err := g.Wait()
	took := time.Since(began)
	stats := f.stats()
	if e := d.printLines([]string{fmt.Sprintf("sent %s events in %.1f s (%s/s), visible in %s", screen.Number(stats.events), took.Seconds(),
		screen.Number(uint64(float64(stats.events)/took.Seconds())), stats.visible())}); err == nil {
		err = e
	}
	return err
}
