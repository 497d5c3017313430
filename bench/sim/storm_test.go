//go:build e2e

package sim

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

// TestRetryStorm: every request is sent one to five times, some of them at the
// same time, through connections that are cut at random bytes, while the node
// is restarted or killed. Every event counts once.
func TestRetryStorm(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	s := newServer(t, "--dedup-window", "2h")
	p := newProxy(t, rng)
	through, err := client.New(p.addr(), client.WithConnections(64), client.WithTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer through.Close()
	up := func() {
		s.start(ctx)
		target := strings.TrimPrefix(s.node.Addr(), "http://")
		p.target.Store(&target)
	}
	up()

	l := begin(ctx, t, rng, 8, 5*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		b := from.next()
		if err := storm(ctx, through, from, b); err != nil {
			return err
		}
		return l.add(b)
	})
	kills, stops := 0, 0
	for range setting(t, "CREST_RESTARTS", 12) {
		pause(l.ctx, between(rng, 300*time.Millisecond, 900*time.Millisecond))
		l.check(t)
		if p.target.Store(nil); rng.IntN(2) == 0 {
			s.kill()
			kills++
		} else {
			s.stop(ctx)
			stops++
		}
		up()
	}
	l.end(t)
	t.Logf("%d kills, %d restarts, %d connections cut", kills, stops, p.cuts.Load())
	if p.cuts.Load() == 0 {
		t.Error("no connection was cut")
	}
	everything(ctx, s, &l.record, rng)
}

// storm sends a batch one to five times, one after the other or at once, and
// goes on until one copy is acknowledged.
func storm(ctx context.Context, c *client.Client, from *sender, b *batch) error {
	copies := 1 + from.rng.IntN(5)
	for acknowledged := false; !acknowledged; copies = 1 {
		results := make([]error, copies)
		if from.rng.IntN(2) == 0 {
			for i := range results {
				_, results[i] = c.Ingest(ctx, b.events())
			}
		} else {
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() { _, results[i] = c.Ingest(ctx, b.events()) })
			}
			wg.Wait()
		}
		for _, err := range results {
			if err == nil {
				acknowledged = true
			} else if final(err) {
				return err
			}
		}
		if !acknowledged && !pause(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
