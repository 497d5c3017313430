package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
)

// Snapshots keeps the snapshots of the partitions. All methods may be called
// concurrently. An error that wraps messages.ErrFenced says that somebody else
// owns the partition now.
type Snapshots interface {
	// Save stores what write writes, of which info says what it is. When it
	// returns nil the snapshot is durable.
	Save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error
	// Load calls read with the newest snapshot of a partition, and with older ones
	// until one can be read; what read made of one before is void. found is false
	// if there is none at all.
	Load(ctx context.Context, p messages.Partition, read func(*messages.SnapshotInfo, messages.PartReader) error) (found bool, err error)
	// MoveOn lets go of a partition's snapshots of before an offset, where its
	// newest is not: nothing has come since, and older ones only keep the log
	// from being trimmed.
	MoveOn(ctx context.Context, p messages.Partition, below messages.Offset) error
}

// SnapshotPolicy says when snapshots are taken: one partition at a time, and
// after each a rest of restAfter times as long as it took, so that a quarter of
// what the disk can write goes to snapshots at most.
type SnapshotPolicy struct {
	// Lag is how many log entries of all partitions may have no snapshot yet: what
	// a replay takes about two seconds for. Default 4,000,000.
	Lag uint64
	// Every is how long an entry may have none; default 10 minutes.
	Every time.Duration
}

// DefaultSnapshotPolicy is what a node does that is told nothing.
func DefaultSnapshotPolicy() SnapshotPolicy {
	return SnapshotPolicy{Lag: 4_000_000, Every: 10 * time.Minute}
}

const (
	// snapshotLook is how often it is decided what to snapshot next.
	snapshotLook = 250 * time.Millisecond
	restAfter    = 3
	// After a failure no snapshot is tried for snapshotRetry, then twice as long,
	// up to snapshotRetryMost.
	snapshotRetry     = time.Second
	snapshotRetryMost = time.Minute
	// cutTimeout is how long a partition may take to come to a cut.
	cutTimeout = time.Minute
)

// snapshotter takes the partitions' snapshots.
type snapshotter struct {
	store    Snapshots
	policy   SnapshotPolicy
	system   *system
	progress *progress
	ingests  []address
	shards   []address
	ready    func() bool // the partitions that run have been replayed
	logger   *slog.Logger
	open     context.Context // ends when the engine begins to close

	one chan struct{} // held while a snapshot is taken

	mu     sync.Mutex
	status messages.SnapshotStatus
	saved  []savedState // by partition
	// failedLast: the last snapshot failed.
	failedLast bool
}

// savedState is what there is of a partition.
type savedState struct {
	offset messages.Offset
	since  time.Time // when its newest snapshot was taken, or everything began
	quiet  bool      // moved on since
	fails  int       // how often it has failed since
	err    string    // the last time
	again  time.Time // when it is tried again, if it has
}

func newSnapshotter(open context.Context, e *Engine) *snapshotter {
	s := &snapshotter{
		open:     open,
		store:    e.cfg.Snapshots,
		policy:   e.cfg.SnapshotPolicy,
		system:   e.system,
		progress: e.progress,
		ingests:  e.ingests,
		shards:   e.shards,
		ready:    func() bool { return e.progress.follows(e.target) },
		logger:   e.cfg.Logger,
		one:      make(chan struct{}, 1),
		saved:    make([]savedState, len(e.shards)),
	}
	for i := range s.saved {
		s.saved[i] = savedState{offset: e.loaded[i], since: time.Now()}
	}
	return s
}

// run takes snapshots by the policy until ctx ends.
func (s *snapshotter) run(ctx context.Context) {
	wait, retry := snapshotLook, snapshotRetry
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		switch worked, err := s.next(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait, retry = retry, min(2*retry, snapshotRetryMost)
			s.logger.Error("a snapshot failed; the log is kept until one succeeds, and replayed after a restart", "error", err, "again_in", wait)
		case worked:
			wait, retry = max(snapshotLook, restAfter*time.Since(began)), snapshotRetry
		default:
			wait = snapshotLook
		}
		timer.Reset(wait)
	}
}

// next takes one snapshot, if one is due.
func (s *snapshotter) next(ctx context.Context) (worked bool, err error) {
	if !s.ready() {
		return false, nil
	}
	p, quiet, due := s.choose(time.Now())
	switch {
	case !due:
		return false, nil
	case quiet:
		return true, s.moveOn(ctx, p)
	}
	_, err = s.take(ctx, p)
	return true, err
}

// moveOn lets a quiet partition's older snapshots go.
func (s *snapshotter) moveOn(ctx context.Context, p messages.Partition) error {
	s.mu.Lock()
	at := s.saved[p].offset
	s.mu.Unlock()
	if at > 0 {
		if err := s.store.MoveOn(ctx, p, at); err != nil {
			return s.failed(ctx, p, err)
		}
	}
	s.mu.Lock()
	s.saved[p].quiet, s.saved[p].fails, s.saved[p].err = true, 0, ""
	s.mu.Unlock()
	return nil
}

// take snapshots one partition as of now.
func (s *snapshotter) take(ctx context.Context, p messages.Partition) (taken messages.Snapshot, err error) {
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		return taken, ctx.Err()
	}
	began := time.Now()
	c, err := s.cut(ctx, p)
	if err != nil {
		return taken, s.failed(ctx, p, err)
	}
	err = s.store.Save(ctx, c.info, c.save)
	s.release(p, c)
	if err != nil {
		return taken, s.failed(ctx, p, err)
	}
	taken = messages.Snapshot{Partition: p, Offset: c.info.Offset, Took: time.Since(began), Stall: c.stall}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[p] = savedState{offset: c.info.Offset, since: began}
	s.failedLast = false
	s.status.Taken++
	s.status.Last = taken
	s.status.LongestStall = max(s.status.LongestStall, c.stall)
	return taken, nil
}

// cut asks a partition to freeze its state and waits until it has: at most
// cutTimeout, since what keeps it from that (a disk that is full or hangs) may
// pass, and the next one is tried then.
func (s *snapshotter) cut(ctx context.Context, p messages.Partition) (*cut, error) {
	c := newCut()
	s.system.tell(s.ingests[p], c)
	timeout := time.NewTimer(cutTimeout)
	defer timeout.Stop()
	for {
		changed, err := s.progress.watch(p)
		if err == nil {
			select {
			case <-c.frozen:
				if c.err != nil {
					c.ingest.dedup.release()
				}
				return c, c.err
			case <-changed:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			case <-timeout.C:
				err = fmt.Errorf("it did not come to a cut in %v: it is busy, or waits for a disk", cutTimeout)
			}
		}
		if !c.decide() {
			<-c.frozen // which the shard is about
			s.release(p, c)
		}
		return nil, err
	}
}

// release lets go of a cut that was frozen.
func (s *snapshotter) release(p messages.Partition, c *cut) {
	c.ingest.dedup.release()
	if c.table != nil {
		s.system.tell(s.shards[p], releaseCut{c})
	}
}

// failed accounts for a failure; a partition that somebody else owns stops. That
// nobody waits any more is no failure of the snapshots.
func (s *snapshotter) failed(ctx context.Context, p messages.Partition, err error) error {
	err = fmt.Errorf("snapshot of partition %d: %w", p, err)
	switch {
	case errors.Is(err, messages.ErrFenced):
		s.progress.fail(p, err)
	case ctx.Err() != nil:
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[p].failLocked(time.Now(), err.Error())
	s.failedLast = true
	s.status.Failed++
	return err
}

// all takes a snapshot of every partition that runs and has something new.
func (s *snapshotter) all(ctx context.Context) ([]messages.Snapshot, error) {
	applied := make(messages.Position, len(s.saved))
	s.progress.applied(applied)
	var taken []messages.Snapshot
	var errs []error
	running := s.progress.running()
	for p, at := range applied {
		s.mu.Lock()
		have := s.saved[p].offset
		s.mu.Unlock()
		if at == have || !running[p] {
			continue
		}
		t, err := s.take(ctx, messages.Partition(p))
		if errs = append(errs, err); err == nil {
			taken = append(taken, t)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return taken, errors.Join(errs...)
}

// whileOpen takes snapshots with a context that ends with the engine, too: no actor
// answers any more then. The error wraps messages.ErrStopped.
func (s *snapshotter) whileOpen(ctx context.Context, take func(context.Context) ([]messages.Snapshot, error)) ([]messages.Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	if s.open.Err() != nil {
		return nil, errClosed
	}
	taken, err := take(ctx)
	if err != nil && s.open.Err() != nil {
		err = fmt.Errorf("%w: %w", errClosed, err)
	}
	return taken, err
}

var errClosed = fmt.Errorf("%w: the engine is closed", messages.ErrStopped)

// state is what became of the snapshots, applied being how far everything is.
func (s *snapshotter) state(applied messages.Position) messages.SnapshotStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	fails := 0 // the error that lasts, not that of the partition that came last
	for i, saved := range s.saved {
		if saved.fails > fails {
			fails, st.LastError = saved.fails, saved.err
		}
		st.Uncovered += uint64(max(applied[i], saved.offset) - saved.offset)
	}
	return st
}

// Snapshot takes a snapshot of every partition that has something new since its
// last, of everything that is in the log now, and returns when they are durable.
// messages.ErrNotReady without a place to keep them, messages.ErrStopped if the
// engine is closed meanwhile. Of a partition that has failed there is none: then
// the error is messages.ErrPartition.
func (e *Engine) Snapshot(ctx context.Context) ([]messages.Snapshot, error) {
	if e.snapshots == nil {
		return nil, fmt.Errorf("%w: this node keeps no snapshots", messages.ErrNotReady)
	}
	return e.snapshots.whileOpen(ctx, e.snapshot)
}

func (e *Engine) snapshot(ctx context.Context) ([]messages.Snapshot, error) {
	if err := e.replaying(); err != nil {
		return nil, err
	}
	ends := make(messages.Position, len(e.shards))
	e.cfg.Log.Ends(ends)
	if err := behind(ctx, e.progress.awaitRunning(ctx, ends)); err != nil {
		return nil, err
	}
	taken, err := e.snapshots.all(ctx)
	if err == nil {
		err = e.progress.failed()
	}
	return taken, err
}
