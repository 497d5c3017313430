package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/messages"
)

// TestALogMayBeginAnywhere: what lies before its partitions' first offsets is
// nobody's, and is no lag.
func TestALogMayBeginAnywhere(t *testing.T) {
	begins := messages.Position{1_000_000_000_000, 5, 0, 70}
	kept := new(actorstest.MemSnapshots)
	change := func(c *Config) {
		keeping(kept)(c)
		c.Begins = begins
		c.MaxLag = 1000
	}
	r := newRig(t, messages.ClockWall, nil)
	r.Engine.Close()
	r.log = actorstest.NewMemLog(r.id)
	r.log.Begin(begins)
	r.start(change)
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); err != nil {
		t.Errorf("nothing is there, and events are refused: %v", err)
	}
	applied := make(messages.Position, r.id.Partitions)
	if r.Applied(applied); !applied.Covers(begins) {
		t.Errorf("applied %v, want %v", applied, begins)
	}
	sendRandom(r, rand.New(rand.NewPCG(1, 1)), 20)
	want, counted := tells(t, r), uint64(0)
	for p := range begins {
		recount := actorstest.NewRecount(r.id)
		recount.Ledger.AppliedOffset = begins[p]
		for _, b := range r.log.Blocks(messages.Partition(p)) {
			recount.Take(&b)
		}
		l, _ := r.Ledger(r.ctx())
		recount.Ledger.NextOffset, recount.Ledger.Epoch = recount.Ledger.AppliedOffset, 1
		if counted += l[p].Counted; l[p] != recount.Ledger {
			t.Errorf("partition %d: ledger\n%+v, want\n%+v", p, l[p], recount.Ledger)
		}
	}
	if counted == 0 {
		t.Error("nothing was counted")
	}
	if _, err := r.Snapshot(r.ctx()); err != nil {
		t.Fatal(err)
	}
	for left := 1; left >= 0; left-- {
		r.Engine.Close()
		for p := range messages.Partition(r.id.Partitions) {
			kept.Keep(p, min(left, len(kept.Offsets(p))))
		}
		r.start(change)
		if got := tells(t, r); got != want {
			t.Errorf("with %d snapshots:\n%s\nwant:\n%s", left, got, want)
		}
	}
	cfg := DefaultConfig()
	cfg.Log, cfg.Identity, cfg.Now = r.log, *r.id, r.EngineTime
	cfg.Begins = begins[:2]
	if err := cfg.Validate(); err == nil {
		t.Error("begins of two partitions of four were taken")
	}
}

// lossy says that the log has lost what comes behind some partitions' snapshots.
type lossy struct {
	*actorstest.MemSnapshots
	of messages.Partition
}

func (l *lossy) Load(ctx context.Context, p messages.Partition, read func(*messages.SnapshotInfo, messages.PartReader) error) (bool, error) {
	return l.MemSnapshots.Load(ctx, p, func(info *messages.SnapshotInfo, from messages.PartReader) error {
		if p == l.of {
			return fmt.Errorf("it ends at %d: %w", info.Offset, messages.ErrLost)
		}
		return read(info, from)
	})
}

// TestAPartitionThatHasLostItsLogStopsAlone, whether that shows at the start or
// while it is read: loudly, and the others go on, with their snapshots too.
func TestAPartitionThatHasLostItsLogStopsAlone(t *testing.T) {
	const lost = messages.Partition(2)
	for _, atStart := range []bool{true, false} {
		t.Run(fmt.Sprintf("at the start: %v", atStart), func(t *testing.T) {
			kept := new(actorstest.MemSnapshots)
			rng := rand.New(rand.NewPCG(1, 1))
			r := newRig(t, messages.ClockWall, keeping(kept))
			for range 2 {
				sendRandom(r, rng, 20)
				if _, err := r.Snapshot(r.ctx()); err != nil {
					t.Fatal(err)
				}
			}
			r.Engine.Close()
			snapshots := Snapshots(kept)
			if atStart {
				snapshots = &lossy{kept, lost}
			} else {
				r.log.Break(messages.ErrLost, lost)
			}
			cfg := DefaultConfig()
			cfg.Log, cfg.Identity, cfg.Now, cfg.Logger = r.log, *r.id, r.EngineTime, slog.New(slog.DiscardHandler)
			cfg.Snapshots, cfg.SnapshotPolicy = snapshots, SnapshotPolicy{Lag: 1 << 60, Every: time.Millisecond}
			e, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			r.Engine = e
			t.Cleanup(e.Close)
			eventually(t, "the partition has stopped", func() bool {
				err := r.Ready()
				return errors.Is(err, messages.ErrPartition) && strings.Contains(err.Error(), "partition 2") && strings.Contains(err.Error(), "has lost")
			})
			before := len(kept.Offsets(lost))
			sendRandom(r, rng, 20)
			others := make(messages.Position, r.id.Partitions)
			r.log.Ends(others)
			end := others[lost]
			others[lost] = 0
			if err := r.Await(r.ctx(), others); err != nil {
				t.Fatal(err)
			}
			for p := range messages.Partition(r.id.Partitions) {
				if p != lost {
					eventually(t, "the others are saved", func() bool {
						offsets := kept.Offsets(p)
						return others[p] == 0 || len(offsets) > 0 && offsets[len(offsets)-1] == others[p]
					})
				}
			}
			// By time all have their turn, again and again, and let older ones go; not
			// the one that has stopped.
			eventually(t, "the others keep one", func() bool {
				for p := range messages.Partition(r.id.Partitions) {
					if p != lost && len(kept.Offsets(p)) > 1 {
						return false
					}
				}
				return true
			})
			s, err := r.Status(r.ctx())
			if err != nil || s.Snapshots.Failed > 0 || len(kept.Offsets(lost)) != before {
				t.Errorf("snapshots %+v, %d of the partition that has stopped, %v", s.Snapshots, len(kept.Offsets(lost))-before, err)
			}
			if p := s.Partitions[lost]; p.Logged != p.Counted+p.Duplicates+p.DeadLettered+uint64(end-p.AppliedOffset) {
				t.Errorf("what was not read is an event an offset, and the ledger is %+v", p.Ledger)
			}
			if p := s.Partitions[lost]; p.Failed == "" || p.NextOffset != end || p.AppliedOffset >= end {
				t.Errorf("it is told as %+v", p)
			}
			for p := range s.Partitions {
				if s.Partitions[p].Failed == "" && s.Partitions[p].Counted > 0 && s.Partitions[p].Arrival == 0 {
					t.Errorf("partition %d has counted events, and tells no arrival", p)
				}
			}
			if err := r.Await(r.ctx(), messages.Position{0, 0, end, 0}); !errors.Is(err, messages.ErrPartition) {
				t.Errorf("await of what is lost: %v", err)
			}
		})
	}
}
