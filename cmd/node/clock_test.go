package node

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

// clockRig is a node clock over hands that the test moves.
type clockRig struct {
	*Clock
	t          *testing.T
	wall, mono messages.Micros
	last       messages.Micros
}

func newClockRig(t *testing.T, floor messages.Micros) *clockRig {
	r := &clockRig{t: t, wall: 1000 * messages.Hour, mono: messages.Second}
	r.Clock = newClock(floor, func() messages.Micros { return r.wall }, func() messages.Micros { return r.mono }, slog.New(slog.DiscardHandler))
	return r
}

// pass lets d go by on both hands, looking at the clock ten times.
func (r *clockRig) pass(d messages.Micros) messages.Micros {
	r.t.Helper()
	for range 10 {
		r.wall += d / 10
		r.mono += d / 10
		now := r.Now()
		if now < r.last {
			r.t.Fatalf("clock went back from %d to %d", r.last, now)
		}
		r.last = now
	}
	return r.last
}

func TestClockFollowsTheWall(t *testing.T) {
	r := newClockRig(t, 0)
	if got := r.pass(messages.Minute); got != r.wall {
		t.Errorf("after a minute: %d off the wall", got-r.wall)
	}
	r.wall += 300 * messages.Millisecond
	if got := r.pass(messages.Minute); got != r.wall {
		t.Errorf("a small step was not drifted away: %d off", got-r.wall)
	}
}

func TestClockWaitsBeforeItFollowsAForwardStep(t *testing.T) {
	r := newClockRig(t, 0)
	r.pass(messages.Minute)
	r.wall += messages.Hour
	if got := r.pass(9 * messages.Second); got > r.wall-messages.Hour+messages.Second {
		t.Errorf("followed a step of an hour after 9 s: %v off", (r.wall - got).Duration())
	}
	if got := r.pass(3 * messages.Second); got != r.wall {
		t.Errorf("12 s after a step of an hour: %v off", (r.wall - got).Duration())
	}
}

func TestClockIgnoresAForwardStepThatIsTakenBack(t *testing.T) {
	r := newClockRig(t, 0)
	r.pass(messages.Minute)
	r.wall += messages.Hour
	r.pass(5 * messages.Second)
	r.wall -= messages.Hour
	if got := r.pass(20 * messages.Second); got != r.wall {
		t.Errorf("%v off the wall", (r.wall - got).Duration())
	}
}

func TestClockSlewsWhenTheWallGoesBack(t *testing.T) {
	r := newClockRig(t, 0)
	before := r.pass(messages.Minute)
	r.wall -= messages.Hour
	if got := r.pass(messages.Minute); got != before+messages.Minute/2 {
		t.Errorf("a minute after a step back the clock moved by %v, want 30s", (got - before).Duration())
	}
	r.pass(3 * messages.Hour)
	r.pass(messages.Minute)
	if r.last != r.wall {
		t.Errorf("three hours later still %v off", (r.last - r.wall).Duration())
	}
}

func TestClockNeverBelowTheLogsLastStamp(t *testing.T) {
	floor := 2000 * messages.Hour
	r := newClockRig(t, floor)
	if got := r.Now(); got < floor {
		t.Errorf("clock at %d below the floor %d", got, floor)
	}
}

// A clock that follows another one is not behind it for long, never goes back
// when that does, and follows its own wall clock where it is told nothing.
func TestClockFollowsAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		off := -30 * messages.Second // of the wall clock, against the brokers'
		c := newClock(0, func() messages.Micros { return messages.MicrosOf(time.Now()) + off }, sinceNow(), slog.New(slog.DiscardHandler))
		var heard atomic.Int64
		go c.Follow(ctx, func() messages.Micros { return messages.Micros(heard.Load()) })
		time.Sleep(time.Second)
		if now, wall := c.Now(), messages.MicrosOf(time.Now())+off; now != wall {
			t.Errorf("it is %v off, though it was told nothing", now-wall)
		}
		for range 100 { // records come all the time
			stamp := messages.MicrosOf(time.Now())
			heard.Store(int64(stamp))
			time.Sleep(followEvery + time.Millisecond)
			if now := c.Now(); now < stamp {
				t.Fatalf("it is behind a stamp by %v", (stamp - now).Duration())
			}
		}
		ahead := c.Now()
		heard.Store(1)
		time.Sleep(followEvery + time.Millisecond)
		if now := c.Now(); now < ahead {
			t.Errorf("it went back by %v", (ahead - now).Duration())
		}
	})
}
