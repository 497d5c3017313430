//go:build e2e

package sim

import (
	"context"
	"strings"
	"testing"
	"time"
)

// acknowledge is what a sender does that must not lose anything: it sends a
// batch of events with ids until it is acknowledged. Every now and then it sends
// one again that was acknowledged long ago, as if it had not heard of that.
func acknowledge(s *server) func(context.Context, *load, *sender) error {
	return func(ctx context.Context, l *load, from *sender) error {
		from.ids = true
		if b := from.repeat(); b != nil {
			_, err := s.send(ctx, b)
			return err
		}
		b := from.next()
		if _, err := s.send(ctx, b); err != nil {
			return err
		}
		from.remember(b)
		return l.add(b)
	}
}

// TestKillAmongSnapshots: a node that takes snapshots all the time is killed at
// random moments, in the middle of its start too, while 8 senders retry events
// with ids until each is acknowledged. It begins with its snapshots each time,
// and no event is lost or counted twice; without any snapshot, from the log
// alone, it counts the same. CREST_CYCLES is the number of kills.
func TestKillAmongSnapshots(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	rng := random(t)
	cycles := setting(t, "CREST_CYCLES", 12)
	s := newChild(t, 300, "--dedup-window", "2h")
	s.start(ctx)
	l := begin(ctx, t, rng, 8, 2*time.Millisecond, acknowledge(s))

	start := time.Now()
	early, begun := 0, 0
	kill := func() {
		n := s.node
		s.kill()
		if loaded(n.Log()) {
			begun++
		}
		if strings.Contains(n.Log(), "level=ERROR") {
			t.Fatalf("the node had an error:\n%s", n.Log())
		}
	}
	for range cycles {
		pause(l.ctx, between(rng, 50*time.Millisecond, 900*time.Millisecond))
		kill()
		if rng.IntN(5) == 0 { // and again before it is ready
			early++
			s.launch()
			pause(l.ctx, between(rng, 0, 150*time.Millisecond))
			kill()
		}
		l.check(t)
		s.start(ctx)
	}
	l.end(t)
	t.Logf("%d kills in %v, and %d before the node was ready; %d nodes began with a snapshot", cycles, time.Since(start).Round(time.Second), early, begun)
	if begun < cycles/2 {
		t.Errorf("%d of %d nodes began with a snapshot: that tests little", begun, cycles+early)
	}
	everything(ctx, s, &l.record, rng)

	before := digest(t, s)
	kill()
	k := storeOf(s)
	t.Logf("%d snapshots are kept", k.sound(ctx))
	k.empty(ctx)
	s.loseRuns()
	s.start(ctx)
	if after := digest(t, s); after != before {
		t.Errorf("state digest %s with snapshots, %s from the log alone", before, after)
	}
	everything(ctx, s, &l.record, rng)
	s.stop(ctx)
	command(ctx, t, "log", "verify", "--data", s.data)
}
