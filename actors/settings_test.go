package actors

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/messages"
)

// judging is a log that judges events by a batch's settings: it ends its batches
// behind control blocks, and notes what it is told.
type judging struct {
	*actorstest.MemLog
	mu   sync.Mutex
	told []told
}

type told struct {
	partition messages.Partition
	from      messages.Offset
	settings  messages.Settings
}

func (j *judging) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	j.mu.Lock()
	j.told = append(j.told, told{p, from, b.Settings})
	j.mu.Unlock()
	err := j.MemLog.Read(ctx, p, from, b)
	if i := slices.IndexFunc(b.Blocks, func(b messages.ReadBlock) bool { return b.Kind == messages.FrameControl }); i >= 0 {
		b.Blocks = b.Blocks[:i+1]
		b.Next = b.Blocks[i].End
	}
	return err
}

// TestTheLogIsToldTheSettingsInForce, at whatever offset it is read: also behind
// settings that landed once more when others held already, and after a restart.
func TestTheLogIsToldTheSettingsInForce(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 21))
		kept := new(actorstest.MemSnapshots)
		log := new(judging)
		change := func(c *Config) {
			keeping(kept)(c)
			log.MemLog = c.Log.(*actorstest.MemLog)
			c.Log = log
		}
		r := newRig(t, messages.ClockWall, change)
		writers := [2]*actorstest.Writer{}
		for i := range writers {
			writers[i] = actorstest.NewWriter(r.log, rng.Uint64(), r.EngineTime)
		}
		pos := make(messages.Position, r.id.Partitions)
		for i := range 150 {
			f := r.frame(event("a", "", "", 1), event("b", "", "", 1), event("c", "", "", 1))
			if rng.IntN(4) == 0 {
				s := messages.DefaultSettings()
				s.MaxAhead = time.Duration(1+rng.IntN(1000)) * time.Millisecond
				f = &messages.Frame{Kind: messages.FrameControl, Stamp: f.Stamp}
				for p := range messages.Partition(r.id.Partitions) {
					f.Blocks = append(f.Blocks, messages.Block{Partition: p, Data: s.AppendTo(nil)})
				}
			}
			if err := writers[rng.IntN(2)].Append(r.ctx(), f, pos); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(3) == 0 {
				if err := r.Await(r.ctx(), pos); err != nil {
					t.Fatal(err)
				}
			}
			if i%40 == 39 {
				if _, err := r.Snapshot(r.ctx()); err != nil {
					t.Fatal(err)
				}
				r.Engine.Close()
				r.start(change)
			}
		}
		r.log.Ends(pos)
		if err := r.Await(r.ctx(), pos); err != nil {
			t.Fatal(err)
		}
		inForce := map[messages.Partition]map[messages.Offset]messages.Settings{}
		for p := range messages.Partition(r.id.Partitions) {
			recount := actorstest.NewRecount(r.id)
			inForce[p] = map[messages.Offset]messages.Settings{0: recount.Settings()}
			for _, b := range r.log.Blocks(p) {
				recount.Take(&b)
				inForce[p][b.End] = recount.Settings()
			}
		}
		log.mu.Lock()
		for _, at := range log.told {
			if want := inForce[at.partition][at.from]; at.settings != want {
				t.Errorf("seed %d, partition %d, offset %d: told %+v, in force are %+v", seed, at.partition, at.from, at.settings, want)
			}
		}
		log.mu.Unlock()
		r.Engine.Close()
	}
}

// TestPartsOfAChangeAreSeen: settings that have not reached all partitions.
func TestPartsOfAChangeAreSeen(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	if !r.SettingsAgree() {
		t.Error("the settings of an empty log do not agree")
	}
	s := messages.DefaultSettings()
	s.MaxRegions = 7
	for p := range messages.Partition(r.id.Partitions) {
		f := &messages.Frame{Kind: messages.FrameControl, Stamp: r.EngineTime(), Blocks: []messages.Block{{Partition: p, Data: s.AppendTo(nil)}}}
		pos := make(messages.Position, r.id.Partitions)
		if err := r.log.Append(r.ctx(), f, pos); err != nil {
			t.Fatal(err)
		}
		if err := r.Await(r.ctx(), pos); err != nil {
			t.Fatal(err)
		}
		if last := int(p) == r.id.Partitions-1; r.SettingsAgree() != last {
			t.Errorf("changed in partitions 0 to %d: agree %v", p, !last)
		}
	}
}
