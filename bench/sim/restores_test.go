//go:build e2e

package sim

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

// TestStormAcrossRestores is TestRetryStorm with snapshots going on, with
// requests that come again long after they were acknowledged, and with a store
// that is another one after each end of the node: emptied, put back to an older
// copy, or to each partition's oldest snapshot; sometimes the local runs of ids
// are gone as well. What dedup knows comes from snapshots and log together, and
// every event counts once. CREST_RESTARTS is how often.
func TestStormAcrossRestores(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	rng := random(t)
	s := newChild(t, 200, "--dedup-window", "2h")
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
	k := storeOf(s)
	l := begin(ctx, t, rng, 8, 3*time.Millisecond, func(ctx context.Context, l *load, from *sender) error {
		if b := from.repeat(); b != nil {
			return storm(ctx, through, from, b)
		}
		b := from.next()
		if err := storm(ctx, through, from, b); err != nil {
			return err
		}
		from.remember(b)
		return l.add(b)
	})
	begun, did := 0, map[string]int{}
	for range setting(t, "CREST_RESTARTS", 8) {
		pause(l.ctx, between(rng, 300*time.Millisecond, 1200*time.Millisecond))
		l.check(t)
		n := s.node
		if p.target.Store(nil); rng.IntN(2) == 0 {
			s.kill()
		} else {
			s.stop(ctx)
		}
		if loaded(n.Log()) {
			begun++
		}
		k.keep(ctx)
		what, _, _ := strings.Cut(k.spoil(ctx, rng), ",")
		did[what]++
		if rng.IntN(3) == 0 {
			s.loseRuns()
		}
		up()
	}
	l.end(t)
	t.Logf("%d connections cut; %d nodes began with a snapshot; what they found: %v", p.cuts.Load(), begun, did)
	if p.cuts.Load() == 0 || begun == 0 {
		t.Error("that tests little")
	}
	everything(ctx, s, &l.record, rng)
}

// TestStoresThatWereSpoiled: the same log with all snapshots deleted, with each
// partition's oldest alone, with the store's folder put back to an older copy,
// and as it was: the digest and the exact boards are identical each time, and
// all bounds are true; with memory for everything, and with far too little.
func TestStoresThatWereSpoiled(t *testing.T) {
	for _, c := range []struct {
		name   string
		flags  []string
		topics int
	}{
		{"exact", nil, 300},
		{"bounded", []string{"--memory", "32MiB", "--dedup-memory", "16MiB"}, setting(t, "CREST_TOPICS", 60_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			s := newChild(t, 2000, append([]string{"--dedup-window", "2h"}, c.flags...)...)
			s.start(ctx)
			spoiled(ctx, t, s, storeOf(s), c.topics)
		})
	}
}
