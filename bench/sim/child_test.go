//go:build e2e

package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/cmd/node"
)

// childArg is the first argument of a test binary that is to be a node; it is
// that of the program, too, so that bench.Start starts either.
const childArg = "serve"

// serveChild is a node in a process of its own, made by cmd/node as the program
// makes it, with settings that the program does not offer: snapshots every
// moment, an engine held back. Its flags are otherwise called as the program's.
func serveChild(args []string) int {
	if err := serve(args); err != nil {
		fmt.Fprintln(os.Stderr, "crest:", err)
		return 1
	}
	return 0
}

func serve(args []string) error {
	cfg := node.DefaultConfig()
	flags := flag.NewFlagSet(childArg, flag.ContinueOnError)
	flags.StringVar(&cfg.Data, "data", "", "")
	flags.StringVar(&cfg.HTTP, "http", "", "")
	flags.StringVar(&cfg.Store, "store", "", "")
	flags.StringVar(&cfg.S3Endpoint, "s3-endpoint", "", "")
	flags.DurationVar(&cfg.LogRetention, "log-retention", cfg.LogRetention, "")
	flags.Uint64Var(&cfg.SnapshotPolicy.Lag, "snapshot-lag", cfg.SnapshotPolicy.Lag, "")
	flags.DurationVar(&cfg.SnapshotPolicy.Every, "snapshot-every", cfg.SnapshotPolicy.Every, "")
	flags.Uint64Var(&cfg.CountRate, "count-rate", 0, "")
	flags.Uint64Var(&cfg.MaxLag, "max-lag", cfg.MaxLag, "")
	size(flags, "memory", &cfg.Memory)
	size(flags, "dedup-memory", &cfg.DedupMemory)
	size(flags, "min-free", &cfg.MinFree)
	window := flags.Duration("dedup-window", 0, "")
	partitions := flags.Int("partitions", 0, "")
	flags.Func("log", "", func(url string) error {
		broker, topic, ok := strings.Cut(strings.TrimPrefix(url, "kafka://"), "/")
		if !ok {
			return errors.New("want kafka://HOST:PORT/TOPIC")
		}
		k := node.DefaultKafka()
		k.Brokers, k.Topic = []string{broker}, topic
		cfg.Kafka = &k
		return nil
	})
	level := slog.LevelInfo
	flags.TextVar(&level, "log-level", level, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *partitions > 0 {
		cfg.Partitions = partitions
	}
	if *window > 0 {
		cfg.DedupWindow = window
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
		fmt.Printf("crest ready http=%s\n", n.Addr())
	case err := <-ended:
		return err
	}
	return <-ended
}

func size(flags *flag.FlagSet, name string, bytes *int64) {
	flags.Func(name, "", func(text string) (err error) {
		*bytes, err = bench.ParseSize(text)
		return err
	})
}

// newChild is a server whose node is this test binary, not started yet. Its
// snapshots are due whenever lag entries have none.
func newChild(t *testing.T, lag int, flags ...string) *server {
	t.Helper()
	s := newServer(t, append([]string{"--log-level", "info", "--snapshot-lag", fmt.Sprint(lag), "--snapshot-every", time.Second.String()}, flags...)...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.bin = self
	return s
}
