//go:build e2e

package sim

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/bench"
)

// TestDrain: SIGTERM under load. What is under way is answered, the exit code
// is 0, and nothing acknowledged is missing behind the restart.
func TestDrain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	s := newServer(t, "--dedup-window", "2h")
	s.start(ctx)
	l := begin(ctx, t, rng, 16, time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		b := from.next()
		if _, err := s.send(ctx, b); err != nil {
			return err
		}
		return l.add(b)
	})
	for range 5 {
		pause(l.ctx, between(rng, 200*time.Millisecond, 600*time.Millisecond))
		l.check(t)
		start := time.Now()
		s.stop(ctx)
		t.Logf("drained in %v", time.Since(start).Round(time.Millisecond))
		s.start(ctx)
	}
	l.end(t)
	everything(ctx, s, &l.record, rng)
}

// TestOneNodePerFolder: a second node on the same folder does not start, says
// why, and leaves the first one alone.
func TestOneNodePerFolder(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	s := newServer(t)
	s.start(ctx)
	var acknowledged atomic.Int64
	l := begin(ctx, t, rng, 2, 5*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		b := from.next()
		if _, err := s.client.Load().Ingest(ctx, b.events()); err != nil {
			return err // the first node has no reason to refuse anything
		}
		acknowledged.Add(1)
		return l.add(b)
	})
	second, err := bench.Start(binary, s.data)
	if err != nil {
		t.Fatal(err)
	}
	code, err := second.Wait(ctx)
	if err != nil {
		second.Kill()
		t.Fatal(err)
	}
	if code != 1 || !strings.Contains(second.Log(), s.data) {
		t.Errorf("the second node ended with %d and does not name %s:\n%s", code, s.data, second.Log())
	}
	if err := untilCount(ctx, &acknowledged, acknowledged.Load()+10); err != nil {
		t.Error(err)
	}
	l.end(t)
	everything(ctx, s, &l.record, rng)
}

// untilCount waits until a counter has reached n.
func untilCount(ctx context.Context, counter *atomic.Int64, n int64) error {
	for counter.Load() < n {
		if !pause(ctx, time.Millisecond) {
			return errors.New("no more requests are acknowledged")
		}
	}
	return nil
}
