package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"
)

type config struct {
	out    string
	memory int64
	span   time.Duration
	kafka  bool     // only with Kafka as the log
	events int      // in the topic beforehand
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
	flag.BoolVar(&c.kafka, "kafka", false, "only with a topic of Kafka as the log")
	flag.IntVar(&c.events, "events", 1_000_000, "`number` of events in the topic of Kafka before the node begins")
	flag.Parse()
	c.memory, c.load = mebibytes<<20, flag.Args()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c *config) error {
	dir, err := os.MkdirTemp("", "crest-profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t, err := build(ctx, dir)
	if err != nil {
		return err
	}
	var profile bytes.Buffer // at the end: a run that fails leaves the old one
	if err := pprof.StartCPUProfile(&profile); err != nil {
		return err
	}
	for i, p := range c.course() {
		if err = p.run(ctx, t, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			break
		}
	}
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	return os.WriteFile(c.out, profile.Bytes(), 0o644)
}

// tools are the paths of what runs beside the node.
type tools struct{ load, broker string }

func build(ctx context.Context, dir string) (*tools, error) {
	t := &tools{load: filepath.Join(dir, "load"), broker: filepath.Join(dir, "broker")}
	for _, args := range [][]string{
		{"build", "-o", t.load, "github.com/crestdb/crest/bench/load"},
		{"test", "-c", "-o", t.broker, "github.com/crestdb/crest/bench/profile"},
	} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return t, nil
}
