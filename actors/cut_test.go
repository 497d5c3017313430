package actors

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestACutThatNobodyWaitsForIsDropped: whoever asked for a snapshot of a shard
// that is busy may go away, which is no failure of the snapshots; the shard then
// freezes nothing, and the next snapshot is taken.
func TestACutThatNobodyWaitsForIsDropped(t *testing.T) {
	kept := new(actorstest.MemSnapshots)
	core := &gatedCore{entered: make(chan struct{}, 100), gate: make(chan struct{})}
	r := newRig(t, messages.ClockWall, func(c *Config) {
		keeping(kept)(c)
		c.Identity.Partitions = 1
		h := newHashes(&c.Identity)
		c.NewCore = func() Core {
			core.Table = window.New(window.Config{Hash: h.topic})
			return core
		}
	})
	one := event("t", "c", "r", 1)
	send := func() {
		if err := r.log.Append(t.Context(), &messages.Frame{
			Kind: messages.FrameEvents, Stamp: r.EngineTime(),
			Blocks: []messages.Block{{Records: 1, Data: one.AppendTo(nil)}},
		}, make(messages.Position, r.id.Partitions)); err != nil {
			t.Fatal(err)
		}
	}
	send()
	<-core.entered // and waits
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.Engine.snapshots.take(ctx, 0)
		gone <- err
	}()
	eventually(t, "it waits for the cut", func() bool {
		p := r.Engine.progress
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.changed != nil
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("whoever has gone away gets %v", err)
	}
	if s, _ := r.Status(r.ctx()); s.Snapshots.Failed != 0 || s.Snapshots.LastError != "" {
		t.Errorf("it is told as a failure: %+v", s.Snapshots)
	}
	close(core.gate)
	for range 2 {
		send()
		if taken, err := r.Snapshot(r.ctx()); err != nil || len(taken) != 1 {
			t.Fatalf("afterwards: %+v, %v", taken, err)
		}
	}
}

// brittle is a table that cannot be frozen.
type brittle struct{ *window.Table }

func (brittle) Freeze() *window.Frozen { panic("no page is left") }

// TestAShardThatFailsAtAFreezing fails its partition, as at anything else, and
// nobody saves what is not there.
func TestAShardThatFailsAtAFreezing(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		keeping(new(actorstest.MemSnapshots))(c)
		h := newHashes(&c.Identity)
		c.NewCore = func() Core { return brittle{window.New(window.Config{Hash: h.topic})} }
	})
	r.send(event("t", "c", "r", 1))
	if _, err := r.Snapshot(r.ctx()); err == nil {
		t.Error("a snapshot of nothing is taken")
	}
	eventually(t, "the partition has failed", func() bool {
		err := r.Ready()
		return errors.Is(err, messages.ErrPartition) && strings.Contains(err.Error(), "no page is left")
	})

	// Whoever waits may hear of the cut before the partition has failed.
	c := newCut()
	func() {
		defer func() { _ = recover() }()
		(&shardActor{core: brittle{}}).freezeTable(c, new(window.Delta))
	}()
	if <-c.frozen; c.err == nil {
		t.Error("a cut without a table is whole")
	}
}
