package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/crestdb/crest/cmd/node"
)

// TestTheProfileHasTheNodeOnKafkaAlone: what a node does with its topic is in it,
// and what runs beside the node is not.
func TestTheProfileHasTheNodeOnKafkaAlone(t *testing.T) {
	c := &config{out: filepath.Join(t.TempDir(), "cpu.pprof"), span: 2 * time.Second, kafka: true, events: 50_000}
	if err := run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(c.out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"eventlog/kafka.(*cursor)":         true, // it reads record batches
		"gateway/decode.(*MessageDecoder)": true, // of others' events
		"eventlog/kafka.(*batchEncoder)":   true, // it writes blocks
		"lz4":                              true,
		"pkg/kfake":                        false,
		"bench/workload":                   false,
	} {
		if have := bytes.Contains(profile, []byte(name)); have != want {
			t.Errorf("%s in the profile: %v, want %v", name, have, want)
		}
	}
}

func TestThePartEndsWithItsBroker(t *testing.T) {
	b := testBroker(t)
	used := false
	err := (&backlog{events: testEvents}).readFrom(t.Context(), b, testNode(t), func(ctx context.Context, _ string) error {
		used = true
		b.cmd.Process.Kill()
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		return nil
	})
	if !used || !errors.Is(err, errBrokerEnded) {
		t.Errorf("used %v, error %v, want %v", used, err, errBrokerEnded)
	}
}

func TestTheBrokerEndsWithWhoStartedIt(t *testing.T) {
	b := testBroker(t)
	b.life.Close()
	select {
	case <-b.ended:
	case <-time.After(time.Minute):
		t.Error("it is still there")
	}
}

func TestAFillingBrokerEndsWithWhoStartedIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self(t), brokerArg, "1000000000") // its input has ended
	if out, err := cmd.CombinedOutput(); err == nil || ctx.Err() != nil {
		t.Errorf("error %v, said %q; want it to end by itself", err, out)
	}
}

func TestAnInterruptEndsTheFilling(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := startBroker(ctx, self(t), 1_000_000_000); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestWhatIsNotCountedIsNoProfile: it would be one of something else.
func TestWhatIsNotCountedIsNoProfile(t *testing.T) {
	b := testBroker(t)
	err := (&backlog{events: testEvents + 1}).readFrom(t.Context(), b, testNode(t), func(context.Context, string) error { return nil })
	if want := "of the topic's 1001 events 1000 were counted, 0 were put aside"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

const testEvents = 1000

// testBroker is this binary as the broker, with testEvents events.
func testBroker(t *testing.T) *broker {
	t.Helper()
	b, err := startBroker(t.Context(), self(t), testEvents)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

func testNode(t *testing.T) *node.Config {
	cfg := node.DefaultConfig()
	cfg.Data, cfg.HTTP, cfg.Memory, cfg.Reserve = t.TempDir(), "127.0.0.1:0", 64<<20, 0
	cfg.Logger = slog.New(slog.DiscardHandler)
	return &cfg
}

func self(t *testing.T) string {
	t.Helper()
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}
