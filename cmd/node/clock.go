package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
)

// Clock is the node clock: it stamps arrivals and ends windows. It never goes
// back, not even below the log's last stamp after a restart, and follows the
// wall clock:
//
//   - while they differ by less than a second it drifts towards it;
//   - when the wall clock is further ahead (the machine was suspended, the
//     clock was set) it waits whether that lasts, and then jumps;
//   - when the wall clock is behind it goes on at half speed until the wall
//     clock has caught up, however long that takes.
//
// Where others stamp what arrives (brokers of Kafka), Follow keeps it from being
// behind them. Jumps and the begin of slewing are logged.
type Clock struct {
	wall func() messages.Micros // may jump
	mono func() messages.Micros // never goes back; its zero is arbitrary
	log  *slog.Logger

	mu       sync.Mutex
	now      messages.Micros // last value given out
	asOf     messages.Micros // mono at that moment
	gapSince messages.Micros // mono when a forward gap was first seen; 0: none
	drift    messages.Micros // time gone by that no drift was taken for yet
	slewing  bool
}

const (
	driftMax  = messages.Second      // a larger difference is a step of the wall clock
	gapLasts  = 10 * messages.Second // a forward step is followed when it has lasted this long
	driftPart = 20                   // drift: a twentieth of the time gone by
)

// NewClock is a clock that never goes below floor.
func NewClock(floor messages.Micros, log *slog.Logger) *Clock {
	return newClock(floor, func() messages.Micros { return messages.MicrosOf(time.Now()) }, sinceNow(), log)
}

// sinceNow counts from 1 on, whatever happens to the wall clock.
func sinceNow() func() messages.Micros {
	start := time.Now()
	return func() messages.Micros { return 1 + messages.Micros(time.Since(start)/time.Microsecond) }
}

func newClock(floor messages.Micros, wall, mono func() messages.Micros, log *slog.Logger) *Clock {
	return &Clock{wall: wall, mono: mono, log: log, now: max(floor, wall()), asOf: mono()}
}

// Now is the node's time. It may be called concurrently.
func (c *Clock) Now() messages.Micros {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.wall(), c.mono()
	gone := max(0, mono-c.asOf)
	c.asOf = mono
	ahead := wall - (c.now + gone) // of the wall clock
	switch {
	case ahead > driftMax:
		c.step(gone, ahead, mono)
	case ahead < -driftMax:
		if !c.slewing {
			c.log.Warn("the wall clock is behind the node clock; going at half speed until it has caught up", "behind", (-ahead).Duration())
		}
		c.slewing, c.gapSince = true, 0
		c.now += gone / 2
	default:
		c.slewing, c.gapSince = false, 0
		c.drift += gone
		most := c.drift / driftPart
		c.drift -= most * driftPart
		c.now += max(0, gone+min(max(ahead, -most), most))
	}
	return c.now
}

// Ahead is how far the clock is ahead of the wall clock.
func (c *Clock) Ahead() messages.Micros {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return now - c.wall()
}

// raise lifts the clock to floor, if it is below.
func (c *Clock) raise(floor messages.Micros) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, floor)
}

// followEvery is how long a clock may stay behind one that it follows.
const followEvery = 100 * time.Millisecond

// Follow keeps the clock from being behind another one until ctx ends: what was
// stamped by that would lie ahead of every window. at is its time as last heard,
// 0: never.
func (c *Clock) Follow(ctx context.Context, at func() messages.Micros) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if t := at(); t > c.Now() {
			c.raise(t)
		}
	}
}

// step handles a wall clock that is far ahead.
func (c *Clock) step(gone, ahead, mono messages.Micros) {
	c.slewing = false
	if c.gapSince == 0 {
		c.gapSince = mono
	}
	c.now += gone
	if mono-c.gapSince < gapLasts {
		return
	}
	c.log.Warn("the node clock follows a forward step of the wall clock", "step", ahead.Duration())
	c.now += ahead
	c.gapSince = 0
}
