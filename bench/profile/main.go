// Profile makes the profile that the compiler is guided by when it builds
// crest: where a node spends its time when it does what nodes do.
//
//	go run ./bench/profile [-o cmd/crest/default.pgo] [-for 6s]
//	go run ./bench/profile -o cpu.pprof [-memory 64] -- LOADFLAG ... MODE
//
// Without a mode it goes through a course: events as NDJSON, as msgpack and one
// by one, and boards beside them, on a node that keeps everything and on one
// that has too little memory for that. Otherwise the arguments are those of
// bench/load, and the profile is of that alone: for whoever looks for what a
// node spends its time on (go tool pprof cpu.pprof).
//
// The node runs in this process, the load in another one, so that the profile
// has nothing of the load.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/crestdb/crest/cmd/node"
)

type config struct {
	out    string
	memory int64
	span   time.Duration
	load   []string // arguments of bench/load; none: the course
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &config{}
	var mebibytes int64
	flag.StringVar(&c.out, "o", "cmd/crest/default.pgo", "`file` to write")
	flag.Int64Var(&mebibytes, "memory", 1024, "the node's memory in MiB, where the load is given")
	flag.DurationVar(&c.span, "for", 6*time.Second, "length of each part of the course")
	flag.Parse()
	c.memory, c.load = mebibytes<<20, flag.Args()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

// part is a node with its memory, and the loads it gets one after the other.
type part struct {
	memory int64
	loads  [][]string
}

// course is what nodes do. The second node has far more topics than it has
// memory for.
func (c *config) course() []part {
	if len(c.load) > 0 {
		return []part{{c.memory, [][]string{c.load}}}
	}
	load := func(args ...string) []string {
		return append([]string{"-repeat", "1", "-warmup", "0s", "-for", c.span.String()}, args...)
	}
	return []part{
		{1 << 30, [][]string{
			load("batch"),
			load("-format", "msgpack", "batch"),
			load("single"),
			load("-reads", "5000", "-boards", "100", "read"),
		}},
		{64 << 20, [][]string{
			load("-topics", "1000000", "batch"),
			load("-topics", "1000000", "-reads", "1000", "-boards", "100", "read"),
		}},
	}
}

func run(ctx context.Context, c *config) error {
	dir, err := os.MkdirTemp("", "crest-profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "load")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/crestdb/crest/bench/load").CombinedOutput(); err != nil {
		return fmt.Errorf("build load: %w\n%s", err, out)
	}
	var profile bytes.Buffer // at the end: a run that fails leaves the old one
	if err := pprof.StartCPUProfile(&profile); err != nil {
		return err
	}
	for i, p := range c.course() {
		if err = p.run(ctx, bin, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			break
		}
	}
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	return os.WriteFile(c.out, profile.Bytes(), 0o644)
}

// run puts a fresh node under the loads of p.
func (p *part) run(ctx context.Context, bin, data string) error {
	cfg := node.DefaultConfig()
	cfg.Data, cfg.HTTP, cfg.Memory = data, "127.0.0.1:0", p.memory
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(running) }()
	select {
	case <-n.Ready():
		err = p.load(ctx, bin, "http://"+n.Addr())
	case err = <-ended:
		ended <- nil
	}
	stop()
	return errors.Join(err, <-ended)
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
