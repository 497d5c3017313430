package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

// Node is one crest node.
type Node struct {
	cfg      Config
	listener net.Listener
	log      *eventlog.Log
	kept     *snapshots
	clock    *Clock
	started  time.Time
	ready    chan struct{}

	readyOnce sync.Once
}

// New takes the address, opens the log, and takes its partitions over in the
// store of snapshots. Run does the rest; a node that is not run is given back with
// Close.
func New(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	log, err := openLog(&cfg)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	kept, err := openSnapshots(ctx, &cfg, log)
	if err != nil {
		return nil, errors.Join(err, ln.Close(), log.Close())
	}
	return &Node{
		cfg:      cfg,
		listener: ln,
		log:      log,
		kept:     kept,
		clock:    NewClock(log.LastStamp(), cfg.Logger),
		started:  time.Now(),
		ready:    make(chan struct{}),
	}, nil
}

const (
	// storeTimeout is how long the store of snapshots may take to be opened.
	storeTimeout = time.Minute
	// lastSnapshots is how long the snapshots at a stop may take.
	lastSnapshots = time.Minute
)

func openLog(cfg *Config) (*eventlog.Log, error) {
	split := cfg.Split()
	c := eventlog.DefaultConfig()
	c.Dir = filepath.Join(cfg.Data, "log")
	c.FS = cfg.FS
	c.HashKey = cfg.HashKey
	c.Settings = cfg.settings(messages.DefaultSettings())
	c.TailBytes, c.CacheBytes, c.GroupBytes = split.LogTail, split.LogCache, split.LogGroup
	c.MinFree = cfg.MinFree
	c.Logger = cfg.Logger
	if cfg.Partitions != nil {
		c.Partitions = *cfg.Partitions
	}
	if cfg.Clock != nil {
		c.Clock = *cfg.Clock
	}
	return eventlog.Open(c)
}

// Addr is the HTTP address that the node listens on.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// Ready is closed once everything in the log is counted and events are taken.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Close gives back what New took, for a node that is not run.
func (n *Node) Close() error { return errors.Join(n.listener.Close(), n.log.Close()) }

// Run serves until ctx ends and then drains: requests in flight are finished,
// what they brought is durable, and every goroutine is gone when it returns.
// It returns nil after such a stop, else what went wrong. It runs once.
func (n *Node) Run(ctx context.Context) error {
	n.limitMemory()
	engine, err := actors.New(n.engineConfig())
	if err != nil {
		return errors.Join(err, n.Close())
	}
	err = n.serve(ctx, engine)
	n.lastSnapshot(engine)
	engine.Close()
	return errors.Join(err, wrap("close log", n.log.Close()))
}

// lastSnapshot spares the next start a replay. That it fails costs no more than
// that.
func (n *Node) lastSnapshot(engine *actors.Engine) {
	if engine.Ready() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSnapshots)
	defer cancel()
	if _, err := engine.Snapshot(ctx); err != nil {
		n.cfg.Logger.Warn("the snapshots at the stop failed; the next start replays more of the log", "error", err)
	}
}

// serve runs the gateway over the engine until ctx ends.
func (n *Node) serve(ctx context.Context, engine *actors.Engine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := n.log.Identity()
	server, err := gateway.New(n.gatewayConfig(engine), &id, n.log, engine)
	if err != nil {
		return errors.Join(err, n.listener.Close())
	}
	served := make(chan error, 1)
	go func() {
		defer cancel() // a server that fails ends the start, too
		served <- server.Run(ctx, n.listener)
	}()
	err = n.start(ctx, engine)
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
// readyz, and what can be read is read.
func (n *Node) start(ctx context.Context, engine *actors.Engine) error {
	if err := engine.WaitReady(ctx); err != nil {
		if ctx.Err() == nil {
			n.cfg.Logger.Error("the log could not be replayed; the node takes no events", "error", err)
		}
		return nil
	}
	n.cfg.Logger.Info("log replayed", "took", time.Since(n.started).Round(time.Millisecond), "frames", n.log.Stats().Frames)
	if err := n.applySettings(ctx, engine); err != nil {
		return err
	}
	n.markReady()
	return nil
}

// applySettings brings the log's settings to what was asked for. While the log
// takes nothing (a full disk) they stay as they are, and reads are answered.
func (n *Node) applySettings(ctx context.Context, engine *actors.Engine) error {
	have := engine.Settings()
	want := n.cfg.settings(have)
	if want == have {
		return nil
	}
	for {
		err := engine.SetSettings(ctx, want)
		if err == nil {
			n.cfg.Logger.Info("the log's settings are changed from here on", "from", have, "to", want)
			return nil
		}
		if !errors.Is(err, messages.ErrStopped) {
			return fmt.Errorf("change the log's settings: %w", err)
		}
		n.cfg.Logger.Warn("the log takes nothing, so its settings stay as they are for now", "error", err)
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

func (n *Node) engineConfig() actors.Config {
	split := n.cfg.Split()
	c := actors.DefaultConfig()
	c.Log, c.Identity, c.Now, c.Logger = n.log, n.log.Identity(), n.clock.Now, n.cfg.Logger
	c.Epsilon, c.Delta = n.cfg.Epsilon, n.cfg.Delta
	c.EngineMemory, c.DedupMemory, c.BoardMemory = split.Engine, split.Dedup, split.Boards
	c.MaxLag = n.cfg.MaxLag
	c.Snapshots, c.SnapshotPolicy, c.Runs = n.kept, n.cfg.SnapshotPolicy, n.openRuns
	return c
}

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
		debug.SetMemoryLimit(n.cfg.Memory + n.cfg.Memory/8 + 100<<20)
	}
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}
