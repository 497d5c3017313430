package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// Config says what an engine runs on.
type Config struct {
	Log      Log                    // required
	Identity messages.LogIdentity   // the log's
	Now      func() messages.Micros // the node clock; required
	// Unkeyed: the log's writers need not put all events of a topic into one
	// partition. Every shard is asked for every topic then.
	Unkeyed bool
	// EngineMemory, DedupMemory and BoardMemory are the engine's shares of the
	// memory budget in bytes.
	EngineMemory, DedupMemory, BoardMemory int64
	// Epsilon and Delta are the wanted error of the sketches that hold what has
	// left EngineMemory: at most Epsilon of it too high, with probability
	// 1 − Delta. Memory wins; answers report the error in use.
	Epsilon, Delta float64
	// MaxLag is how many log entries may wait to be counted before events are
	// refused (429).
	MaxLag uint64
	// NewCore makes the state of a shard; nil: window.Table.
	NewCore func() Core
	// LoadCore makes it from a snapshot; nil: window.Load.
	LoadCore func(messages.PartReader) (Core, error)
	// Begins is where each partition begins that has no snapshot: what lies before
	// was there before the log was used for the first time. nil: at 0.
	Begins messages.Position
	// Snapshots keeps the partitions' snapshots; nil: the log is replayed from its
	// beginning at every start.
	Snapshots      Snapshots
	SnapshotPolicy SnapshotPolicy
	// Runs is where a partition's sorted runs of event ids are kept; nil: in
	// memory.
	Runs   func(messages.Partition) (RunStore, error)
	Logger *slog.Logger
}

// DefaultConfig has every default but the required fields.
func DefaultConfig() Config {
	return Config{
		EngineMemory:   512 << 20,
		DedupMemory:    256 << 20,
		BoardMemory:    64 << 20,
		Epsilon:        0.001,
		Delta:          0.001,
		MaxLag:         1_000_000,
		SnapshotPolicy: DefaultSnapshotPolicy(),
		Logger:         slog.Default(),
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	switch {
	case c.Log == nil:
		return errors.New("engine: Log is missing")
	case c.Now == nil:
		return errors.New("engine: Now is missing")
	case c.Identity.Partitions < 1 || c.Identity.Partitions > messages.MaxPartitions:
		return fmt.Errorf("engine: %d partitions: want 1 to %d", c.Identity.Partitions, messages.MaxPartitions)
	case c.Begins != nil && len(c.Begins) != c.Identity.Partitions:
		return fmt.Errorf("engine: Begins of %d partitions: want %d", len(c.Begins), c.Identity.Partitions)
	case c.EngineMemory <= 0 || c.DedupMemory <= 0 || c.BoardMemory <= 0:
		return errors.New("engine: memory shares must be positive")
	case c.Epsilon <= 0 || c.Epsilon >= 1 || c.Delta <= 0 || c.Delta >= 1:
		return fmt.Errorf("engine: epsilon %g, delta %g: want numbers between 0 and 1", c.Epsilon, c.Delta)
	case c.MaxLag == 0:
		return errors.New("engine: MaxLag must be positive")
	case c.SnapshotPolicy.Lag == 0 || c.SnapshotPolicy.Every <= 0:
		return errors.New("engine: the snapshot policy must be positive")
	case c.Logger == nil:
		return errors.New("engine: Logger is missing")
	}
	return nil
}

// Engine is the counting and ranking of one node: its actors, and the calls
// that the gateway makes. All methods may be called concurrently.
type Engine struct {
	cfg      Config
	routes   messages.Routes
	system   *system
	progress *progress
	target   messages.Position // the log's end when the engine was started
	ready    atomic.Bool

	ingests, shards []address
	merger          address
	hurries         []hurry // of the ingest actors' readers, by partition
	sealers         *Sealers
	loaded          messages.Position // what the snapshots reached to at the start
	reached         messages.Micros   // how far the loaded shards had slid
	snapshots       *snapshotter      // nil without Snapshots
	stopSnapshots   func()            // ends its goroutine and waits for it

	started   time.Time     // monotonic: what measures lengths of time here
	lastTick  atomic.Int64  // nanoseconds since then; 0: none yet
	spawned   atomic.Uint64 // boards so far; makes their actors' names unique
	questions atomic.Int64  // under way

	closing sync.Once

	mu     sync.Mutex
	boards map[boardKey]*boardHandle
}

// New starts an engine: it loads the newest snapshots, replays the log from
// there (see Ready) and follows it until Close.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.NewCore == nil {
		h := newHashes(&cfg.Identity)
		w := window.Config{
			Hash:    h.topic,
			Memory:  max(1, cfg.EngineMemory/32*31/int64(cfg.Identity.Partitions)), // the rest is for combining
			Epsilon: cfg.Epsilon,
			Delta:   cfg.Delta,
		}
		w.Key[0], w.Key[1] = cfg.Identity.Subkey("sketch")
		cfg.NewCore = func() Core { return window.New(w) }
		cfg.LoadCore = func(from messages.PartReader) (Core, error) { return window.Load(w, from) }
	}
	e := &Engine{
		cfg:      cfg,
		routes:   messages.NewRoutes(&cfg.Identity),
		system:   newSystem(cfg.Logger),
		progress: newProgress(cfg.Identity.Partitions, cfg.Identity.Settings),
		target:   make(messages.Position, cfg.Identity.Partitions),
		boards:   make(map[boardKey]*boardHandle),
		started:  time.Now(),
		sealers:  NewSealers(1),
		loaded:   make(messages.Position, cfg.Identity.Partitions),
	}
	cfg.Log.Ends(e.target)
	states, err := e.load()
	if err != nil {
		e.system.shutdown()
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if err := e.spawn(states); err != nil {
		e.Close()
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if cfg.Snapshots != nil {
		ctx, cancel := context.WithCancel(context.Background())
		e.snapshots = newSnapshotter(ctx, e)
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.snapshots.run(ctx)
		}()
		e.stopSnapshots = func() {
			cancel()
			<-done
		}
	}
	return e, nil
}

func (e *Engine) spawn(states []*state) error {
	for p := range messages.Partition(e.cfg.Identity.Partitions) {
		a := &shardActor{partition: p, core: states[p].core, progress: e.progress}
		if states[p].ingest.next > 0 {
			a.publish(states[p].ingest.status())
		}
		shard, err := e.system.spawn(fmt.Sprintf("shard/%d", p), a)
		if err != nil {
			return err
		}
		e.shards = append(e.shards, shard)
	}
	merger, err := e.system.spawn("merger/local", &merger{shards: e.shards, clock: e.cfg.Identity.Clock, now: e.cfg.Now, progress: e.progress, spread: e.spread()})
	if err != nil {
		return err
	}
	e.merger = merger
	for p := range messages.Partition(e.cfg.Identity.Partitions) {
		e.hurries = append(e.hurries, make(hurry, 1))
		ingest, err := e.system.spawn(fmt.Sprintf("ingest/%d", p), &ingestActor{
			partition: p,
			core:      states[p].ingest,
			lost:      states[p].lost,
			log:       e.cfg.Log,
			shard:     e.shards[p],
			progress:  e.progress,
			hurry:     e.hurries[p],
			logger:    e.cfg.Logger,
		})
		if err != nil {
			return err
		}
		e.ingests = append(e.ingests, ingest)
	}
	return nil
}

// Close stops every actor and waits for it. What the log holds and was not yet
// counted is counted after the next start. Further calls do nothing.
func (e *Engine) Close() { e.closing.Do(e.close) }

func (e *Engine) close() {
	if e.stopSnapshots != nil {
		e.stopSnapshots()
	}
	stop := func(actors ...address) {
		for _, a := range actors {
			if a != nil {
				e.system.stop(a)
			}
		}
	}
	stop(e.ingests...)
	e.mu.Lock()
	boards := e.boards
	e.boards = nil
	e.mu.Unlock()
	for _, h := range boards {
		stop(h.actor)
	}
	stop(e.merger)
	stop(e.shards...)
	e.system.shutdown()
}

func (e *Engine) sinceStart() time.Duration { return time.Since(e.started) }

// Ready is nil once everything that was in the log at the start is counted;
// before, messages.ErrNotReady with how far the replay is. If a partition has failed
// it is a *messages.PartitionError from then on: what does not need it is answered.
func (e *Engine) Ready() error {
	if err := e.replaying(); err != nil {
		return err
	}
	return e.progress.failed()
}

// replaying is nil once what was in the log at the start is counted in all
// partitions that have not failed.
func (e *Engine) replaying() error {
	if e.ready.Load() {
		return nil
	}
	if e.progress.follows(e.target) {
		e.ready.Store(true)
		return nil
	}
	done, all := e.replayed()
	err := fmt.Errorf("%w: %d of %d entries", messages.ErrNotReady, done, all)
	if failed := e.progress.failed(); failed != nil {
		err = fmt.Errorf("%w; without what has failed: %v", err, failed)
	}
	return err
}

// Running is how many partitions have not failed.
func (e *Engine) Running() int { return e.progress.runs() }

// replayed is of the partitions that have not failed.
func (e *Engine) replayed() (done, all uint64) {
	applied := make(messages.Position, len(e.target))
	e.progress.applied(applied)
	running := e.progress.running()
	for i, o := range e.target {
		if !running[i] {
			continue
		}
		var begin messages.Offset
		if e.cfg.Begins != nil {
			begin = min(e.cfg.Begins[i], o)
		}
		all += uint64(o - begin)
		done += uint64(min(o, max(begin, applied[i])) - begin)
	}
	return done, all
}

// WaitReady waits until what was in the log at the start is counted, in all
// partitions that do not fail meanwhile, and returns Ready; or until ctx ends.
func (e *Engine) WaitReady(ctx context.Context) error {
	if err := e.progress.awaitRunning(ctx, e.target); err != nil {
		return err
	}
	return e.Ready()
}

// EngineTime is the moment that answers refer to now: the node clock, or with
// the event clock the largest event time accepted so far (0 before the first
// event).
func (e *Engine) EngineTime() messages.Micros {
	if e.cfg.Identity.Clock == messages.ClockEvent {
		return e.progress.clock()
	}
	return e.cfg.Now()
}

// Reached is the moment up to which the loaded snapshots have answered: with the
// wall clock they were slid to the node clock of their time, and no shard answers
// for what lies further back. The node clock must not be below it.
func (e *Engine) Reached() messages.Micros {
	if e.cfg.Identity.Clock == messages.ClockEvent {
		return 0
	}
	return e.reached
}

// Applied fills pos with the offset behind the last entry counted, by
// partition.
func (e *Engine) Applied(pos messages.Position) { e.progress.applied(pos) }

// Await waits until everything before pos is counted. messages.ErrBehind if ctx
// ends before, a *messages.PartitionError if that will never be.
func (e *Engine) Await(ctx context.Context, pos messages.Position) error {
	return behind(ctx, e.progress.await(ctx, pos, allNeeded))
}

// Settings in force as of what has been counted.
func (e *Engine) Settings() messages.Settings { return e.progress.settings() }

// SettingsAgree tells whether Settings are in force in all partitions that run.
// Where a change does not reach all of them together (Kafka), part of it may not
// have come to be: then it has to be made again.
func (e *Engine) SettingsAgree() bool { return e.progress.settingsAgree() }

// Ledger accounts for every partition's events.
func (e *Engine) Ledger(context.Context) ([]messages.Ledger, error) {
	status := e.partitions()
	ledgers := make([]messages.Ledger, len(status))
	for i := range status {
		ledgers[i] = status[i].Ledger
	}
	return ledgers, nil
}

// partitions is the state of every partition with the log's end in it.
func (e *Engine) partitions() []messages.PartitionStatus {
	snapshot := e.progress.snapshot()
	ends := make(messages.Position, len(snapshot))
	e.cfg.Log.Ends(ends) // after the snapshot: never behind it
	out := make([]messages.PartitionStatus, len(snapshot))
	for i, s := range snapshot {
		out[i] = *s
		out[i].NextOffset = max(ends[i], s.AppliedOffset)
		// What an offset has is known once it was read; until then it is one event.
		out[i].Logged += uint64(out[i].NextOffset - s.AppliedOffset)
		out[i].Epoch = 1
	}
	return out
}

// Status is the engine as operators see it.
func (e *Engine) Status(context.Context) (*messages.EngineStatus, error) {
	s := &messages.EngineStatus{EngineTime: e.EngineTime(), Settings: e.Settings(), Partitions: e.partitions(), Memory: e.MemoryUsed()}
	applied := make(messages.Position, len(s.Partitions))
	for i := range s.Partitions {
		s.SketchError.Raise(s.Partitions[i].SketchError)
		applied[i] = s.Partitions[i].AppliedOffset
	}
	if e.snapshots != nil {
		s.Snapshots = e.snapshots.state(applied)
	}
	e.mu.Lock()
	s.Boards = len(e.boards)
	e.mu.Unlock()
	return s, nil
}

// MemoryUsed is what all shards and ingest actors hold.
func (e *Engine) MemoryUsed() messages.Memory {
	var m messages.Memory
	for _, s := range e.progress.snapshot() {
		m.Sum(s.Memory)
	}
	return m
}

// BoardMemory is about what the kept boards hold, in bytes.
func (e *Engine) BoardMemory() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.boardMemoryLocked()
}

func (e *Engine) boardMemoryLocked() int64 {
	var n int64
	for _, h := range e.boards {
		n += h.size.Load()
	}
	return n
}
