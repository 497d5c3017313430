package actors

import (
	"errors"
	"fmt"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func TestFullDedupTableRefusesAndEmptiesByTicks(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.DedupMemory = 16 << 10 })
	refused := func() bool {
		e := event("t", "", "", 1)
		e.ID = []byte("probe")
		err := r.Admit(r.ctx(), r.frame(e), true)
		var refusal *messages.RefusedError
		if err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		return err != nil
	}
	for i := 0; !refused(); i++ {
		if i > 100_000 {
			t.Fatal("the table never gets full")
		}
		e := event("t", "", "", 1)
		e.ID = fmt.Appendf(nil, "id-%d", i)
		if err := r.Await(r.ctx(), r.send(e)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); err != nil {
		t.Errorf("an event without an id is refused: %v", err)
	}
	// No event moves log time on now, only what the refusals append.
	r.now.Add(int64(20 * messages.Minute))
	r.lastTick.Store(0)
	refused() // asks for the tick
	ends := make(messages.Position, r.id.Partitions)
	r.log.Ends(ends)
	if err := r.Await(r.ctx(), ends); err != nil {
		t.Fatal(err)
	}
	if refused() {
		t.Error("still full a window later")
	}
}

// TestFullMemoryCountsOn: with no memory everything is taken, answered
// within bounds, and the error in use is told.
func TestFullMemoryCountsOn(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.EngineMemory = 1 })
	for i := range 50 {
		e := event(fmt.Sprintf("t%d", i), "c", "R", 1)
		if err := r.Admit(r.ctx(), r.frame(e), false); err != nil {
			t.Fatal(err)
		}
		if err := r.Await(r.ctx(), r.send(e)); err != nil {
			t.Fatal(err)
		}
	}
	q := &messages.CountQuery{Topics: []string{"t7", "never"}, Window: messages.Window1h}
	got, err := r.Counts(r.ctx(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got.Total != messages.ExactCount(50) || got.Counts[0].Lower > 1 || got.Counts[0].Upper < 1 || got.Epsilon == 0 || got.Delta == 0 {
		t.Errorf("got %+v", got)
	}
	b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 10})
	if err != nil {
		t.Fatal(err)
	}
	if b.Epsilon == 0 || b.Total != messages.ExactCount(50) || len(b.Rows) > 0 && (b.Rows[0].Count.Lower > 1 || b.Rows[0].Count.Upper < 1) {
		t.Errorf("got %+v", b)
	}
}

// swollen is a core that says it holds far more than it should.
type swollen struct{ *window.Table }

func (s swollen) Stats() window.Stats {
	stats := s.Table.Stats()
	stats.Memory.Rows = 4 << 30
	return stats
}

func TestAnEngineFarBeyondItsMemoryRefusesEvents(t *testing.T) {
	id := &messages.LogIdentity{HashKey: [32]byte{3}}
	h := newHashes(id)
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return swollen{window.New(window.Config{Hash: h.topic})} }
	})
	if err := r.Admit(r.ctx(), r.frame(event("a", "", "", 1)), false); err != nil {
		t.Errorf("an empty engine: %v", err)
	}
	if err := r.Await(r.ctx(), r.send(event("a", "", "", 1))); err != nil {
		t.Fatal(err)
	}
	var refusal *messages.RefusedError
	if err := r.Admit(r.ctx(), r.frame(event("a", "", "", 1)), false); !errors.As(err, &refusal) || refusal.RetryAfter <= 0 {
		t.Errorf("a swollen one: %v, want a refusal", err)
	}
}
