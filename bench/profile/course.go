package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/crestdb/crest/cmd/node"
)

// part is a node with its memory, and the loads it gets one after the other.
type part struct {
	memory  int64
	loads   [][]string
	backlog *backlog // of a node whose log is a topic of Kafka; else nil
}

// course is what nodes do. The second node has far more topics than it has
// memory for, the third has Kafka.
func (c *config) course() []part {
	if len(c.load) > 0 {
		p := part{memory: c.memory, loads: [][]string{c.load}}
		if c.kafka {
			p.backlog = &backlog{events: c.events}
		}
		return []part{p}
	}
	load := func(span time.Duration, args ...string) []string {
		return append([]string{"-repeat", "1", "-warmup", "0s", "-for", span.String()}, args...)
	}
	// Most of what is in such a topic is others'. No load is shorter than a second.
	write := max(c.span/3, time.Second)
	kafka := part{
		1 << 30,
		[][]string{load(write, "batch")},
		&backlog{events: c.events, read: c.span - write},
	}
	if c.kafka {
		return []part{kafka}
	}
	return []part{
		{1 << 30, [][]string{
			load(c.span, "batch"),
			load(c.span, "-format", "msgpack", "batch"),
			load(c.span, "single"),
			load(c.span, "-reads", "5000", "-boards", "100", "read"),
		}, nil},
		{64 << 20, [][]string{
			load(c.span, "-topics", "1000000", "batch"),
			load(c.span, "-topics", "1000000", "-reads", "1000", "-boards", "100", "read"),
		}, nil},
		kafka,
	}
}

// run puts fresh nodes under the loads of p; data is the folder they may make.
func (p *part) run(ctx context.Context, t *tools, data string) error {
	cfg := node.DefaultConfig()
	cfg.Data, cfg.HTTP, cfg.Memory = data, "127.0.0.1:0", p.memory
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	loads := func(ctx context.Context, addr string) error { return p.load(ctx, t.load, addr) }
	if p.backlog != nil {
		return p.backlog.run(ctx, t.broker, &cfg, loads)
	}
	return with(ctx, &cfg, loads)
}

// use is what a node is there for; it has read its log, and answers at the URL.
type use func(ctx context.Context, addr string) error

// with runs a node as long as f uses it.
func with(ctx context.Context, cfg *node.Config, f use) error {
	n, err := node.Open(ctx, *cfg)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(running) }()
	select {
	case <-n.Ready():
		err = f(running, "http://"+n.Addr())
	case err = <-ended:
		ended <- nil
	}
	stop()
	return errors.Join(err, <-ended, context.Cause(ctx))
}

func (p *part) load(ctx context.Context, bin, addr string) error {
	for _, args := range p.loads {
		cmd := exec.CommandContext(ctx, bin, append([]string{"-addr", addr}, args...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("load %v: %w", args, err)
		}
	}
	return nil
}
