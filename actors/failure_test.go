package actors

import (
	"errors"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func TestABrokenLogStopsThePartitionLoudly(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	r.log.Break(errors.New("bit rot"))
	err := r.Await(r.ctx(), messages.Position{1, 0, 0, 0})
	if !errors.Is(err, messages.ErrPartition) {
		t.Fatalf("await: %v", err)
	}
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("admit: %v", err)
	}
	if _, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 1}); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("a board that lacks what was not read: %v", err)
	}
	if err := r.Ready(); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("ready: %v", err)
	}
}

// panicky is a core that breaks at the first delta with rows.
type panicky struct{ Core }

func (p panicky) Apply(d *window.Delta) {
	if len(d.Rows) > 0 {
		panic("broken invariant")
	}
	p.Core.Apply(d)
}

func TestAPanicFailsThePartitionInsteadOfRestartingItEmpty(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return panicky{window.New(window.Config{Hash: func([]byte) uint64 { return 0 }})} }
	})
	if err := r.Await(r.ctx(), r.send(event("t", "", "", 1))); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("await: %v", err)
	}
	if _, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 1}); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("board: %v", err)
	}
}
