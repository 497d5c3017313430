package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/runs"
	"github.com/crestdb/crest/persistence/snapshot"
)

// Core is a node without a listener and without anything that is the whole
// process's: the log, the snapshots, the clock, and once it is started the engine
// and its edge. Node is a Core that listens; simulations run many of them on
// file systems in memory.
type Core struct {
	cfg     Config
	ground  Ground
	log     *eventlog.Log
	kept    *snapshots
	clock   *Clock
	engine  *actors.Engine
	edge    *gateway.Server
	started time.Time
}

// Ground is what a core stands on, where that is not what a Config says. Nil
// functions change nothing; the zero value is how a node runs.
type Ground struct {
	Wall      func() messages.Micros // the wall clock, which may jump
	Log       func(*eventlog.Config)
	Objects   func(objectstore.Store) objectstore.Store // what snapshots are written through
	Snapshots func(*snapshot.Config)
	Engine    func(*actors.Config)
}

// OpenCore opens the log and takes its partitions over in the store of
// snapshots. HTTP and Version in cfg, and what is said there of the process's
// memory, mean nothing to it. Close gives back what it took.
func OpenCore(ctx context.Context, cfg Config, ground Ground) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, ground: ground, started: time.Now()}
	var err error
	if c.log, err = c.openLog(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if c.kept, err = openSnapshots(ctx, &c.cfg, &ground, c.log); err != nil {
		return nil, errors.Join(err, c.log.Close())
	}
	c.clock = NewClock(c.log.LastStamp(), cfg.Logger)
	if ground.Wall != nil {
		c.clock = newClock(c.log.LastStamp(), ground.Wall, sinceNow(), cfg.Logger)
	}
	return c, nil
}

func (c *Core) openLog() (*eventlog.Log, error) {
	split := c.cfg.Split()
	l := eventlog.DefaultConfig()
	l.Dir = filepath.Join(c.cfg.Data, "log")
	l.FS = c.cfg.FS
	l.HashKey = c.cfg.HashKey
	l.Settings = c.cfg.settings(messages.DefaultSettings())
	l.TailBytes, l.CacheBytes, l.GroupBytes = split.LogTail, split.LogCache, split.LogGroup
	l.MinFree = c.cfg.MinFree
	l.Logger = c.cfg.Logger
	if c.cfg.Partitions != nil {
		l.Partitions = *c.cfg.Partitions
	}
	if c.cfg.Clock != nil {
		l.Clock = *c.cfg.Clock
	}
	if c.ground.Log != nil {
		c.ground.Log(&l)
	}
	return eventlog.Open(l)
}

// Start loads the newest snapshots and begins to replay the log: Engine's
// WaitReady tells when it has. After an error only Close is left.
func (c *Core) Start() error {
	engine, err := actors.New(c.engineConfig())
	if err != nil {
		return err
	}
	c.engine = engine
	id := c.log.Identity()
	c.edge, err = gateway.New(c.gatewayConfig(), &id, c.log, engine)
	return err
}

// Log, Engine and Edge are its parts, for whoever looks closer; the latter two
// are nil before Start.
func (c *Core) Log() *eventlog.Log     { return c.log }
func (c *Core) Engine() *actors.Engine { return c.engine }
func (c *Core) Edge() *gateway.Server  { return c.edge }

// Now is the node clock.
func (c *Core) Now() messages.Micros { return c.clock.Now() }

// Close ends everything that runs and makes durable what waits. What the last
// snapshots do not have is replayed at the next start. The edge is to be closed,
// or to have ended its Run, before.
func (c *Core) Close() error {
	if c.engine != nil {
		c.engine.Close()
	}
	return errors.Join(c.kept.close(), wrap("close log", c.log.Close()))
}

// LastSnapshot spares the next start a replay. That it fails costs no more than
// that.
func (c *Core) LastSnapshot() {
	if c.engine == nil || c.engine.Ready() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSnapshots)
	defer cancel()
	if _, err := c.engine.Snapshot(ctx); err != nil {
		c.cfg.Logger.Warn("the snapshots at the stop failed; the next start replays more of the log", "error", err)
	}
}

const (
	// storeTimeout is how long the store of snapshots may take to be opened.
	storeTimeout = time.Minute
	// lastSnapshots is how long the snapshots at a stop may take.
	lastSnapshots = time.Minute
)

func (c *Core) engineConfig() actors.Config {
	split := c.cfg.Split()
	e := actors.DefaultConfig()
	e.Log, e.Identity, e.Now, e.Logger = c.log, c.log.Identity(), c.clock.Now, c.cfg.Logger
	e.Epsilon, e.Delta = c.cfg.Epsilon, c.cfg.Delta
	e.EngineMemory, e.DedupMemory, e.BoardMemory = split.Engine, split.Dedup, split.Boards
	e.MaxLag = c.cfg.MaxLag
	e.Snapshots, e.SnapshotPolicy, e.Runs = c.kept, c.cfg.SnapshotPolicy, c.openRuns
	if c.ground.Engine != nil {
		c.ground.Engine(&e)
	}
	return e
}

// openRuns is where a partition's runs of event ids are kept.
func (c *Core) openRuns(p messages.Partition) (actors.RunStore, error) {
	fs := c.cfg.FS
	if fs == nil {
		fs = persistence.OS{}
	}
	return runs.Open(fs, filepath.Join(c.cfg.Data, "ids", strconv.Itoa(int(p))))
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}
