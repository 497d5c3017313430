//go:build e2e

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

// load is a number of senders at work until they are told to stop; each
// finishes the batch it is at. What they have done is in record.
type load struct {
	record
	wg     sync.WaitGroup
	ended  chan struct{}
	failed context.CancelCauseFunc
	ctx    context.Context
}

// begin lets n senders work, each with at most one request every `every`.
func begin(ctx context.Context, t *testing.T, rng *rand.Rand, n int, every time.Duration, work func(context.Context, *load, *sender) error) *load {
	l := &load{ended: make(chan struct{})}
	l.ctx, l.failed = context.WithCancelCause(ctx)
	t.Cleanup(func() { // of a test that gave up
		l.failed(nil)
		l.wg.Wait()
	})
	for i := range n {
		from := &sender{name: fmt.Sprintf("s%d", i), rng: rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))}
		l.wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-l.ended:
					return
				case <-l.ctx.Done():
					return
				}
				if err := work(l.ctx, l, from); err != nil {
					l.failed(fmt.Errorf("sender %s: %w", from.name, err))
					return
				}
			}
		})
	}
	return l
}

// end waits until every sender has its last acknowledgement.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.ended)
	l.wg.Wait()
	l.check(t)
	l.failed(nil)
}

// check ends the test if a sender failed.
func (l *load) check(t *testing.T) {
	t.Helper()
	if err := context.Cause(l.ctx); err != nil {
		t.Fatal(err)
	}
}

// TestKill: 8 senders retry until each request is acknowledged, while the node
// is killed at random moments, in the middle of its start too. No acknowledged
// event is lost, none is counted twice. CREST_CYCLES is the number of kills.
func TestKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	rng := random(t)
	cycles := setting(t, "CREST_CYCLES", 20)
	s := newServer(t, "--dedup-window", "2h")
	s.start(ctx)

	own := map[string]uint64{} // acknowledged, by sender
	var mu sync.Mutex
	l := begin(ctx, t, rng, 8, 2*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		b := from.next()
		answer, err := s.send(ctx, b)
		if err != nil {
			return err
		}
		mu.Lock()
		own[from.name] += b.own
		want := own[from.name]
		mu.Unlock()
		if err := l.add(b); err != nil {
			return err
		}
		if from.seq%20 == 0 {
			return readOwn(ctx, s, from, answer.Position, want)
		}
		return nil
	})

	start := time.Now()
	early := 0
	for range cycles {
		pause(l.ctx, between(rng, 20*time.Millisecond, 400*time.Millisecond))
		s.kill()
		if rng.IntN(5) == 0 { // and again before it is ready
			early++
			s.launch()
			pause(l.ctx, between(rng, 0, 150*time.Millisecond))
			s.kill()
		}
		l.check(t)
		s.start(ctx)
	}
	l.end(t)
	t.Logf("%d kills in %v, and %d before the node was ready", cycles, time.Since(start).Round(time.Second), early)
	everything(ctx, s, &l.record, rng)

	before := digest(t, s)
	s.stop(ctx)
	command(ctx, t, "log", "verify", "--data", s.data)
	s.start(ctx)
	if after := digest(t, s); after != before {
		t.Errorf("state digest %s before a restart, %s behind it", before, after)
	}
}

func digest(t *testing.T, s *server) string {
	t.Helper()
	l, err := s.client.Load().Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l.Total.StateDigest
}

// readOwn reads the sender's own topic as of its last acknowledgement. Nobody
// else counts it, and nothing of it is on its way, so the answer is certain.
func readOwn(ctx context.Context, s *server, from *sender, position string, want uint64) error {
	c := s.client.Load()
	if c == nil {
		return nil // it was killed; another time
	}
	got, err := c.Count(ctx, from.own(), client.Scope{Window: "all", After: position})
	if err != nil {
		if final(err) {
			return fmt.Errorf("read own count: %w", err)
		}
		return nil
	}
	if got.Lower != want || got.Upper != want {
		return fmt.Errorf("own count after %s is %d to %d, want %d", position, got.Lower, got.Upper, want)
	}
	return nil
}
