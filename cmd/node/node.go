package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/messages"
)

// Node is one crest node.
type Node struct {
	core     *Core
	listener net.Listener
	ready    chan struct{}
	// gone is closed once nothing of a node that was run is left: with Run's
	// return, or later where a store hung.
	gone chan struct{}

	readyOnce sync.Once
}

// New takes the address, opens the log, and takes its partitions over in the
// store of snapshots. Run does the rest; a node that is not run is given back with
// Close.
func New(cfg Config) (*Node, error) { return Open(context.Background(), cfg) }

// Open is New, given up when ctx ends: brokers and stores may take their time.
func Open(ctx context.Context, cfg Config) (*Node, error) { return newNode(ctx, cfg, Ground{}) }

func newNode(ctx context.Context, cfg Config, ground Ground) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	core, err := OpenCore(ctx, cfg, ground)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	id := core.log.Identity()
	most := gateway.DefaultConfig().MaxConnections
	if core.connections, err = connections(most, openFiles(), id.Partitions); err != nil {
		return nil, errors.Join(err, ln.Close(), core.Close())
	}
	if core.connections < most {
		cfg.Logger.Info("connections are bounded by the limit of open files", "connections", core.connections, "files", openFiles())
	}
	core.reserve.Keep()
	return &Node{core: core, listener: ln, ready: make(chan struct{}), gone: make(chan struct{})}, nil
}

// Addr is the HTTP address that the node listens on.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// Ready is closed once everything in the log is counted and events are taken; or
// everything but partitions that have lost what comes next in it.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Close gives back what New took, for a node that is not run.
func (n *Node) Close() error { return errors.Join(n.listener.Close(), n.core.Close()) }

// Run serves until ctx ends and then drains: requests in flight are finished,
// what they brought is durable, and every goroutine is gone when it returns.
// It returns nil after such a stop, else what went wrong. It runs once.
func (n *Node) Run(ctx context.Context) error {
	n.limitMemory()
	switch begun, err := n.begin(ctx); {
	case err != nil:
		return errors.Join(err, n.Close())
	case !begun:
		return n.listener.Close()
	}
	err := n.serve(ctx)
	return errors.Join(err, n.end())
}

// serve runs the edge until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // a server that fails ends the start, too
		served <- n.core.edge.Run(ctx, n.listener)
	}()
	err := n.start(ctx)
	if ctx.Err() != nil {
		err = nil // stopped while it started: what the server says counts
	}
	if err != nil {
		cancel()
	}
	return errors.Join(err, <-served)
}

// start waits for the replay and brings the log's settings to what was asked
// for. A partition that fails meanwhile does not stop the node: it tells so in
// readyz, and what can be read is read. Where only such partitions have failed as
// have lost their log, the node serves without them.
func (n *Node) start(ctx context.Context) error {
	err := n.core.engine.WaitReady(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil
	case !errors.Is(err, messages.ErrLost) || n.core.engine.Running() == 0:
		n.core.cfg.Logger.Error("the log could not be replayed; the node takes no events", "error", err)
		return nil
	default:
		n.core.cfg.Logger.Error("the node serves without partitions that have lost their log: what needs them is not answered", "error", err)
	}
	told := []any{"took", time.Since(n.core.started).Round(time.Millisecond)}
	if n.core.embedded != nil {
		told = append(told, "frames", n.core.embedded.Stats().Frames)
	}
	n.core.cfg.Logger.Info("log replayed", told...)
	if err := n.applySettings(ctx); err != nil {
		return err
	}
	n.markReady()
	return nil
}

// applySettings brings the log's settings to what was asked for. While the log
// takes nothing (a full disk) they stay as they are, and reads are answered.
func (n *Node) applySettings(ctx context.Context) error {
	have := n.core.engine.Settings()
	want := n.core.cfg.settings(have)
	// In Kafka a change may have come to be in some partitions only.
	if want == have && n.core.engine.SettingsAgree() {
		return nil
	}
	for {
		err := n.core.engine.SetSettings(ctx, want)
		if err == nil {
			n.core.cfg.Logger.Info("the log's settings are changed from here on", "from", have, "to", want)
			return nil
		}
		if !errors.Is(err, messages.ErrStopped) {
			return fmt.Errorf("change the log's settings: %w", err)
		}
		n.core.cfg.Logger.Warn("the log takes nothing, so its settings stay as they are for now", "error", err)
		n.markReady()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settingsRetry):
		}
	}
}

const settingsRetry = 5 * time.Second

// markReady tells that the node answers; the first call counts.
func (n *Node) markReady() { n.readyOnce.Do(func() { close(n.ready) }) }

// gcPercent is how much of garbage the heap may gather before it is collected.
// Large tables have few pointers, so a collection costs little; at Go's own 100
// a node took half as much memory again and no less CPU.
const (
	gcPercent        = 60
	defaultGCPercent = 100
)

// limitMemory tells the garbage collector what the node may take, unless the
// process was started with limits of its own (GOGC, GOMEMLIMIT).
func (n *Node) limitMemory() {
	if was := debug.SetGCPercent(gcPercent); was != defaultGCPercent {
		debug.SetGCPercent(was)
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(n.core.cfg.Memory + n.core.cfg.Memory/8 + 100<<20)
	}
}
