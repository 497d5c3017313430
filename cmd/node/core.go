package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/reserve"
	"github.com/crestdb/crest/persistence/snapshot"
)

// Core is a node without a listener and without anything that is the whole
// process's: the log, the snapshots, the clock, and once it is started the engine
// and its edge. Node is a Core that listens; simulations run many of them on
// file systems in memory.
type Core struct {
	cfg     Config
	ground  Ground
	reserve *reserve.Reserve
	ids     *idStores
	log     Log
	// embedded is the log if it is the one in the data folder; else nil.
	embedded *eventlog.Log
	kafka    *kafka.Log // likewise
	lock     io.Closer  // of a data folder without a log that locks it
	objects  objectstore.Store
	opened   io.Closer // the store as it was opened, if it is to be closed
	kept     *snapshots
	clock    *Clock
	engine   *actors.Engine
	edge     *gateway.Server
	started  time.Time
	// background is what runs beside the engine, until stop ends it.
	background sync.WaitGroup
	stop       context.CancelFunc
	// connections is how many may be open at once; 0: as many as the edge takes by
	// itself.
	connections int
}

// Ground is what a core stands on, where that is not what a Config says. Nil
// functions change nothing; the zero value is how a node runs.
type Ground struct {
	Wall      func() messages.Micros // the wall clock, which may jump
	Log       func(*eventlog.Config)
	Kafka     func(*kafka.Config)
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
	l := c.logConfig()
	c.reserve = reserve.New(reserve.Config{
		FS: cfg.fs(), Path: filepath.Join(cfg.Data, "reserve"), Size: cfg.Reserve,
		Floor: cfg.MinFree, FreeSpace: l.FreeSpace, Logger: cfg.Logger,
	})
	l.FreeSpace = aside(l.FreeSpace, c.reserve)
	c.ids = newIDStores(&c.cfg, c.reserve)
	if err := c.open(ctx, &l); err != nil {
		return nil, advise(&cfg, err)
	}
	return c, nil
}

// open opens the log and the store of snapshots, and takes the partitions over.
func (c *Core) open(ctx context.Context, l *eventlog.Config) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, c.closeObjects(), c.closeLog())
		}
	}()
	c.clock = NewClock(0, c.cfg.Logger)
	if c.ground.Wall != nil {
		c.clock = newClock(0, c.ground.Wall, sinceNow(), c.cfg.Logger)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if c.cfg.Kafka != nil {
		err = c.openKafka(ctx)
	} else {
		err = c.openEmbedded(ctx, l)
	}
	if err != nil {
		return err
	}
	c.clock.raise(c.log.LastStamp())
	return c.reserve.Do("taking the partitions over", func() (err error) {
		c.kept, err = takePartitions(ctx, c)
		return err
	})
}

// aside is the free space without what is to be the reserve file again.
func aside(free func(string) (int64, error), r *reserve.Reserve) func(string) (int64, error) {
	return func(dir string) (int64, error) {
		n, err := free(dir)
		return n - r.Missing(), err
	}
}

// Start loads the newest snapshots and begins to replay the log: Engine's
// WaitReady tells when it has. After an error only Close is left.
func (c *Core) Start() error {
	engine, err := actors.New(c.engineConfig())
	if err != nil {
		return advise(&c.cfg, err)
	}
	c.engine = engine
	c.clock.raise(engine.Reached())
	id := c.log.Identity()
	if c.edge, err = gateway.New(c.gatewayConfig(), &id, c.log, engine); err != nil {
		return err
	}
	if c.kafka != nil {
		ctx, stop := context.WithCancel(context.Background())
		c.stop = stop
		c.background.Go(func() { c.clock.Follow(ctx, c.kafka.BrokerTime) })
		if c.cfg.Kafka.Group != "" {
			c.background.Go(func() { c.commit(ctx) })
		}
	}
	return nil
}

// Log, Engine and Edge are its parts, for whoever looks closer; the latter two
// are nil before Start.
func (c *Core) Log() Log               { return c.log }
func (c *Core) Engine() *actors.Engine { return c.engine }
func (c *Core) Edge() *gateway.Server  { return c.edge }

// takes is nil while events are taken, else why they are not.
func (c *Core) takes() error {
	if err := c.log.Err(); err != nil {
		return err
	}
	return c.ids.err()
}

// Now is the node clock.
func (c *Core) Now() messages.Micros { return c.clock.Now() }

// Close ends everything that runs and makes durable what waits. What the last
// snapshots do not have is replayed at the next start. The edge is to be closed,
// or to have ended its Run, before.
func (c *Core) Close() error {
	c.ids.stop()
	if c.stop != nil {
		c.stop()
		c.background.Wait()
	}
	if c.engine != nil {
		c.engine.Close()
	}
	return errors.Join(c.closeObjects(), c.closeLog())
}

// LastSnapshot spares the next start a replay. That it fails costs no more than
// that.
func (c *Core) LastSnapshot() {
	c.ids.stop()
	if c.engine == nil || errors.Is(c.engine.Ready(), messages.ErrNotReady) || c.engine.Running() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StopTimeout)
	defer cancel()
	switch _, err := c.engine.Snapshot(ctx); {
	case errors.Is(err, messages.ErrPartition):
		c.cfg.Logger.Warn("a partition that has failed has no snapshot of the stop", "error", err)
	case err != nil:
		c.cfg.Logger.Warn("the snapshots at the stop failed; the next start replays more of the log", "error", err)
	}
}

// storeTimeout is how long the log and the store of snapshots may take to be
// opened.
const storeTimeout = time.Minute

func (c *Core) engineConfig() actors.Config {
	split := c.cfg.Split()
	e := actors.DefaultConfig()
	e.Log, e.Identity, e.Now, e.Logger = c.log, c.log.Identity(), c.clock.Now, c.cfg.Logger
	if c.cfg.CountRate > 0 {
		e.Log = newPaced(c.log, c.cfg.CountRate)
	}
	e.Epsilon, e.Delta = c.cfg.Epsilon, c.cfg.Delta
	e.EngineMemory, e.DedupMemory, e.BoardMemory = split.Engine, split.Dedup, split.Boards
	e.MaxLag = c.cfg.MaxLag
	if c.kafka != nil {
		e.Unkeyed = !c.cfg.Kafka.Keyed
		e.Begins = make(messages.Position, e.Identity.Partitions)
		c.kafka.Started(e.Begins)
	}
	e.Snapshots, e.SnapshotPolicy, e.Runs = c.kept, c.cfg.SnapshotPolicy, c.ids.open
	if c.ground.Engine != nil {
		c.ground.Engine(&e)
	}
	return e
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}
