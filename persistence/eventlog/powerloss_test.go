package eventlog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// life is one seed's story: a log that is written by several clients, loses
// power (or its process is killed), is opened again, which may be cut short
// too, and so on.
type life struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *persistencetest.FS
	cfg  eventlog.Config
	past *history
}

func newLife(t *testing.T, seed uint64, fs *persistencetest.FS) *life {
	l := &life{t: t, rng: rand.New(rand.NewPCG(seed, 7)), fs: fs, past: newHistory()}
	delays := rand.New(rand.NewPCG(seed, 8))
	var mu sync.Mutex
	fs.SyncDelay = func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(delays.IntN(20)) * time.Millisecond
	}
	l.cfg = testConfig(fs)
	l.cfg.SegmentBytes = 4<<10 + int64(l.rng.IntN(64<<10))
	l.cfg.GroupBytes = 4<<10 + int64(l.rng.IntN(32<<10))
	l.cfg.TailBytes = int64(l.rng.IntN(100 << 10))
	l.cfg.CacheBytes = int64(l.rng.IntN(100 << 10))
	return l
}

// run lives through some crashes and returns what is wrong with the log, if
// anything is.
func (l *life) run() error {
	for range 1 + l.rng.IntN(4) {
		if err := l.openAndCheck(); err != nil {
			return err
		}
		if l.rng.IntN(2) == 0 {
			l.crashWhileOpening()
		}
	}
	// The last start is followed by a clean stop and another start.
	log, err := l.open()
	if err != nil {
		return err
	}
	if err := errors.Join(l.past.check(log), log.Close()); err != nil {
		return err
	}
	if log, err = l.open(); err != nil {
		return err
	}
	return errors.Join(l.past.check(log), log.Close())
}

func (l *life) open() (*eventlog.Log, error) {
	l.cfg.FS = l.fs
	log, err := eventlog.Open(l.cfg)
	if err != nil {
		return nil, fmt.Errorf("start refused: %w", err)
	}
	return log, nil
}

// openAndCheck opens the log, checks it, appends until the power goes at some
// operation, and brings the next file system.
func (l *life) openAndCheck() error {
	log, err := l.open()
	if err != nil {
		return err
	}
	if err := l.past.check(log); err != nil {
		_ = log.Close()
		return err
	}
	l.fs.Inject(persistencetest.Fault{At: l.fs.Ops() + 1 + l.rng.IntN(60), PowerOff: true})
	var clients sync.WaitGroup
	for range 1 + l.rng.IntN(8) {
		rng := rand.New(rand.NewPCG(l.rng.Uint64(), 9))
		clients.Go(func() { l.client(log, rng) })
	}
	clients.Wait()
	_ = log.Close() // the power is off: it fails
	l.crash()
	return nil
}

// client appends until the log stops.
func (l *life) client(log *eventlog.Log, rng *rand.Rand) {
	pos := make(messages.Position, testPartitions)
	for {
		f := l.past.newFrame(rng)
		if err := log.Append(l.t.Context(), f, pos); err != nil {
			return
		}
		l.past.ack(f, pos)
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	}
}

// crashWhileOpening opens the log once more, with the power going during that.
func (l *life) crashWhileOpening() {
	l.cfg.FS = l.fs
	l.fs.Inject(persistencetest.Fault{At: l.fs.Ops() + 1 + l.rng.IntN(12), PowerOff: true})
	if log, err := eventlog.Open(l.cfg); err == nil {
		_ = log.Close()
	}
	l.crash()
}

func (l *life) crash() {
	if l.rng.IntN(4) == 0 {
		l.fs = l.fs.Kill()
		return
	}
	l.fs = l.fs.PowerLoss(l.rng.Uint64())
}

func TestPowerLosses(t *testing.T) {
	frames, acks := 0, 0
	for seed := range uint64(500) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, seed, persistencetest.New(seed))
			if err := l.run(); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			frames += l.past.frames
			acks += l.past.ackCount
		})
	}
	t.Logf("%d frames, %d acknowledged", frames, acks)
}

// The same story on a disk that does not sync must be told apart: else the
// test above proves nothing.
func TestPowerLossesWithoutSyncAreNoticed(t *testing.T) {
	const seeds = 100
	noticed := 0
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			fs := persistencetest.New(seed)
			fs.IgnoreSync = true
			if newLife(t, seed, fs).run() != nil {
				noticed++
			}
		})
	}
	t.Logf("%d of %d noticed", noticed, seeds)
	if noticed < seeds/2 {
		t.Fatal("losses went unnoticed")
	}
}
