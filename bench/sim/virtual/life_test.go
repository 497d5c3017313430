package virtual

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
	"github.com/crestdb/crest/persistence/persistencetest"
	"github.com/crestdb/crest/persistence/snapshot"
)

const (
	dataDir  = "/data"
	storeDir = "/data/store"
	// bootTime is how long a node may take until it is ready, and how long it may
	// take to count what is in the log.
	bootTime = 10 * time.Minute
)

// config is the node's, as far as the plan decides it.
func (s *sim) config() node.Config {
	c := node.DefaultConfig()
	c.Name, c.Data, c.FS = "virtual", dataDir, s.fs
	c.Memory = 32 << 20
	c.MinFree, c.Reserve = 1<<20, 16<<10
	key := [32]byte{byte(s.seed), byte(s.seed >> 8), byte(s.seed >> 16), 1}
	c.HashKey = &key
	c.Partitions, c.Clock = &s.partitions, &s.clock
	c.DedupWindow, c.MaxAhead = &s.dedupWindow, &s.maxAhead
	c.MaxCategories, c.MaxRegions = &s.maxCategories, &s.maxRegions
	c.SnapshotPolicy, c.LogRetention = s.policy, s.retention
	c.Logger = slog.New(slog.DiscardHandler)
	if s.logger != nil {
		c.Logger = s.logger
	}
	return c
}

func (s *sim) ground() node.Ground {
	return node.Ground{
		Wall: func() messages.Micros {
			return messages.MicrosOf(time.Now()) + messages.Micros(s.wallStep.Load())
		},
		Log: func(c *eventlog.Config) {
			c.SegmentBytes, c.GroupBytes, c.TailBytes = s.segmentBytes, s.groupBytes, s.tailBytes
			c.FreeSpace = func(string) (int64, error) { return s.free.Load(), nil }
		},
		Objects: func(o objectstore.Store) objectstore.Store {
			s.store = faultstore.New(o, s.rng.Uint64(), s.storeFaults)
			return s.store
		},
		Snapshots: func(c *snapshot.Config) { c.ObjectBytes, c.KeepRoots = s.objectBytes, s.keepRoots },
		Engine: func(c *actors.Config) {
			if s.engineMemory != 0 {
				c.EngineMemory = s.engineMemory
			}
			if s.dedupMemory != 0 {
				c.DedupMemory = s.dedupMemory
			}
		},
	}
}

// life is one run of the node: what has to end before the next can begin.
type life struct {
	stopReading func()
	readers     func()
}

// boot starts the node and waits until it has counted what is in the log.
func (s *sim) boot() error {
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	core, err := node.OpenCore(ctx, s.config(), s.ground())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.core = core
	if s.oracle == nil {
		s.oracle = newOracle(core.Log().Identity())
	}
	if err := s.sameLog(); err != nil {
		s.violate("%v", err)
	}
	reading, stop := context.WithCancel(context.Background())
	s.life = life{stop, s.oracle.follow(reading, core.Log())}
	if err = core.Start(); err == nil {
		err = core.Engine().WaitReady(ctx)
	}
	if err != nil {
		s.end()
		return fmt.Errorf("start: %w", err)
	}
	s.lives++
	return nil
}

// sameLog checks that a log that was opened has everything that was read from
// it before.
func (s *sim) sameLog() error {
	id := s.core.Log().Identity()
	if id != s.oracle.id {
		return fmt.Errorf("the log is another one: %+v, was %+v", id, s.oracle.id)
	}
	ends := make(messages.Position, id.Partitions)
	s.core.Log().Ends(ends)
	if was := s.oracle.ends(); !ends.Covers(was) {
		return fmt.Errorf("the log ends at %v, and was read up to %v", ends, was)
	}
	return nil
}

// end closes whatever runs, in the order of a node's stop.
func (s *sim) end() error {
	var errs []error
	if edge := s.core.Edge(); edge != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		edge.Close(ctx)
		cancel()
	}
	s.flights.Wait()
	s.latest = max(s.latest, s.core.Now())
	errs = append(errs, s.core.Close())
	s.life.stopReading()
	s.life.readers()
	s.core = nil
	return errors.Join(errs...)
}

// stop ends the node as SIGTERM does; last: with its snapshots.
func (s *sim) stop(last bool) {
	if last {
		s.core.LastSnapshot()
	}
	if err := s.end(); err != nil && !s.unwell {
		s.violate("a node without faults stops with: %v", err)
	}
}

// crash ends the node as a power loss or kill -9 does, with whatever is under
// way.
func (s *sim) crash(power bool) {
	var after *persistencetest.FS
	if power {
		after = s.fs.PowerLoss(s.rng.Uint64())
	} else {
		after = s.fs.Kill()
	}
	_ = s.end() // the disk is gone: it fails
	s.fs = after
}

// newDisk is a file system whose syncs take time, if the plan says so.
func (s *sim) newDisk() *persistencetest.FS {
	fs := persistencetest.New(s.seed)
	if s.syncMost > 0 {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(s.seed, 0x73796e63))
		fs.SyncDelay = func() time.Duration {
			if s.orderly {
				return min(s.syncMost/2, 20*time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(rng.Int64N(int64(s.syncMost)))
		}
	}
	return fs
}

// well puts everything right that was broken on purpose.
func (s *sim) well() {
	s.fs.Inject(persistencetest.Fault{})
	s.storeFaults = faultstore.Faults{}
	if s.store != nil {
		s.store.Set(s.storeFaults)
		s.store.Inject(faultstore.Fault{})
	}
	s.free.Store(1 << 40)
	s.unwell = false
}

// reboot starts a node that is down; with everything well that must do.
func (s *sim) reboot() {
	if !s.orderly && s.rng.IntN(4) == 0 {
		s.cutShort()
	}
	s.well()
	if err := s.boot(); err != nil {
		s.violate("a node without faults does not start: %v", err)
	}
	if s.orderly {
		s.pass(time.Minute)
	}
}

// cutShort starts the node while something fails.
func (s *sim) cutShort() {
	fault := persistencetest.Fault{At: s.fs.Ops() + 1 + s.rng.IntN(60)}
	power := s.rng.IntN(2) == 0
	if fault.PowerOff = power; !power {
		fault.Err, fault.Sticky, fault.Short = diskError(s.rng), s.rng.IntN(2) == 0, s.rng.IntN(2) == 0
	}
	if s.rng.IntN(3) == 0 {
		s.storeFaults = s.plan.store
	}
	s.fs.Inject(fault)
	s.unwell = true
	err := s.boot()
	s.trace("started while op %d fails (power off: %v): %v", fault.At, power, err)
	if err == nil {
		s.crash(true)
		return
	}
	s.fs = s.fs.PowerLoss(s.rng.Uint64())
}
