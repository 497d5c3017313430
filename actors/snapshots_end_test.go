package actors

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// aheadLog says that it has an entry more than can be read, and tells when it has
// said so.
type aheadLog struct {
	*actorstest.MemLog
	ahead atomic.Bool
	said  chan struct{} // cap 1
}

func (l *aheadLog) Ends(pos messages.Position) {
	l.MemLog.Ends(pos)
	if l.ahead.Load() {
		pos[0]++
	}
	select {
	case l.said <- struct{}{}:
	default:
	}
}

// slowSnapshots takes as long as it is given to save, while it is held.
type slowSnapshots struct {
	*actorstest.MemSnapshots
	held   atomic.Bool
	saving chan struct{} // cap 1
}

func (s *slowSnapshots) Save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	if s.held.Load() {
		s.saving <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	return s.MemSnapshots.Save(ctx, info, write)
}

// endRig is an engine of one partition that has an event without a snapshot, and
// what a snapshot of it can be made to wait for.
type endRig struct {
	*rig
	log  *aheadLog
	core *gatedCore
	kept *slowSnapshots
}

func newEndRig(t *testing.T) *endRig {
	r := &endRig{
		rig:  newRig(t, messages.ClockWall, nil),
		log:  &aheadLog{said: make(chan struct{}, 1)},
		core: &gatedCore{entered: make(chan struct{}, 100), gate: make(chan struct{})},
		kept: &slowSnapshots{MemSnapshots: new(actorstest.MemSnapshots), saving: make(chan struct{}, 1)},
	}
	r.Engine.Close()
	r.id.Partitions = 1
	r.routes, r.rig.log = messages.NewRoutes(r.id), actorstest.NewMemLog(r.id)
	r.log.MemLog = r.rig.log
	r.start(func(c *Config) {
		keeping(nil)(c)
		c.Log, c.Snapshots = r.log, r.kept
		c.NewCore = func() Core {
			h := newHashes(r.id)
			r.core.Table = window.New(window.Config{Hash: h.topic})
			return r.core
		}
	})
	pos := r.send(event("t", "c", "r", 1))
	<-r.core.entered
	r.core.gate <- struct{}{}
	if err := r.Await(r.ctx(), pos); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestASnapshotEndsWithItsContextAndWithItsEngine, whatever it waits for; and one
// that was given up is in nobody's way.
func TestASnapshotEndsWithItsContextAndWithItsEngine(t *testing.T) {
	for _, c := range []struct {
		name string
		hold func(r *endRig) (waits <-chan struct{}, let func())
	}{
		{"what is in the log to be counted", func(r *endRig) (<-chan struct{}, func()) {
			r.log.ahead.Store(true)
			close(r.core.gate)
			return r.log.said, func() { r.log.ahead.Store(false) }
		}},
		{"another snapshot", func(r *endRig) (<-chan struct{}, func()) {
			close(r.core.gate)
			r.snapshots.one <- struct{}{}
			return r.log.said, func() { <-r.snapshots.one }
		}},
		{"the partition to come to a cut", func(r *endRig) (<-chan struct{}, func()) {
			return r.core.entered, func() { close(r.core.gate) }
		}},
		{"the store", func(r *endRig) (<-chan struct{}, func()) {
			r.kept.held.Store(true)
			close(r.core.gate)
			return r.kept.saving, func() { r.kept.held.Store(false) }
		}},
	} {
		for _, closes := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", and the engine is closed"}[closes], func(t *testing.T) {
				t.Parallel()
				r := newEndRig(t)
				select { // of what was said before
				case <-r.log.said:
				default:
				}
				waits, let := c.hold(r)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended, closed := make(chan error, 1), make(chan struct{})
				go func() {
					_, err := r.Snapshot(ctx)
					ended <- err
				}()
				<-waits
				if closes {
					go func() {
						defer close(closed)
						r.Engine.Close()
					}()
				} else {
					cancel()
					close(closed)
				}
				select {
				case err := <-ended:
					if !errors.Is(err, context.Canceled) || errors.Is(err, messages.ErrStopped) != closes {
						t.Errorf("it ends with %v", err)
					}
				case <-time.After(30 * time.Second):
					t.Error("it does not end")
				}
				cancel()
				let()
				<-closed
				taken, err := r.Snapshot(r.ctx())
				if closes && !errors.Is(err, messages.ErrStopped) || !closes && (err != nil || len(taken) != 1) {
					t.Errorf("the next one: %+v, %v", taken, err)
				}
			})
		}
	}
}
