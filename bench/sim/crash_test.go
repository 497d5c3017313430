//go:build e2e

package sim

import (
	"context"
	"testing"
	"time"
)

// TestCrashAtACall: a node is killed at its n-th write, sync or rename, before
// the call is done: among snapshots, at its start, in the middle of a recovery
// from the last crash. What was acknowledged is there each time, once.
// CREST_CRASHES is how often.
func TestCrashAtACall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	rng := random(t)
	s := newChild(t, 200, "--dedup-window", "2h")
	program := s.bin
	l := begin(ctx, t, rng, 6, 3*time.Millisecond, acknowledge(s))
	const patience = 20 * time.Second // for a call that does not come
	crashes, early, begun := 0, 0, 0
	at := map[string]int{}
	for crashes < setting(t, "CREST_CRASHES", 6) {
		calls, n := moment(rng)
		s.bin = killer(ctx, t, program, calls, n)
		node, ready := s.tryStart(ctx)
		if ready {
			select {
			case <-node.Done():
			case <-l.ctx.Done():
			case <-time.After(patience):
			}
		}
		l.check(t)
		select {
		case <-node.Done():
			crashes++
			at[calls]++
			if !ready {
				early++
			}
		default:
			t.Logf("no thread came to call %d of %s", n, calls)
		}
		s.kill()
		if loaded(node.Log()) {
			begun++
		}
		if len(saying(node.Log(), "level=ERROR")) > 0 {
			t.Fatalf("the node had an error:\n%s", node.Log())
		}
	}
	s.bin = program
	s.start(ctx)
	l.end(t)
	t.Logf("%d crashes, %d of them before the node was ready; at %v; %d nodes began with a snapshot", crashes, early, at, begun)
	everything(ctx, s, &l.record, rng)
	before := digest(t, s)
	s.kill()
	k := storeOf(s)
	t.Logf("%d snapshots are kept", k.sound(ctx))
	k.empty(ctx)
	s.start(ctx)
	if after := digest(t, s); after != before {
		t.Errorf("state digest %s with snapshots, %s from the log alone", before, after)
	}
	s.stop(ctx)
	command(ctx, t, "log", "verify", "--data", s.data)
}
