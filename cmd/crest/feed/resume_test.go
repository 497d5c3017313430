package feed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/cmd/crest/feed"
)

// A kill is simulated by copying the progress file as it is in the middle of a
// run and going on from the copy.
func TestKilledAnywhereAndResumed(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			path, node := write(t, lines(200)), &fakeNode{}
			for round := 0; ; round++ {
				if round > 200 {
					t.Fatalf("seed %d: no end in sight after %d kills", seed, round)
				}
				kill := node.attempts + 1 + rng.IntN(12)
				var left []byte
				freeze := func(attempt int) error {
					if attempt == kill {
						var err error
						if left, err = os.ReadFile(path + ".progress"); err != nil {
							t.Error(err)
						}
					}
					if attempt >= kill {
						return errReset
					}
					return nil
				}
				node.before, node.after = nil, freeze
				if rng.IntN(2) == 0 {
					node.before, node.after = freeze, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				r := send(t, ctx, node, path, 5, false, func(c *feed.Config) {
					c.Waiting = func(string) { cancel() }
				})
				cancel()
				if left == nil { // it came to its end before the kill
					if r.err != nil {
						t.Fatalf("seed %d: %v", seed, r.err)
					}
					break
				}
				if err := os.WriteFile(path+".progress", left, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			wantOnce(t, node, 200)
		})
	}
}

func TestInterruptionLeavesNothingUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(1000)), &fakeNode{took: 2 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r := send(t, ctx, node, path, 10, false, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) || r.totals.Blocks != 8 {
			t.Fatalf("got %+v, want the two rounds of four requests answered", r)
		}
		if state, err := os.ReadFile(path + ".progress"); err != nil || !strings.Contains(string(state), `"unresolved": []`) {
			t.Errorf("%v\n%s", err, state)
		}
		time.Sleep(24 * time.Hour) // far beyond the dedup window
		if r := send(t, t.Context(), node, path, 0, false, nil); r.err != nil || r.totals.ResumedEvents != 80 || r.totals.Blocks != 92 {
			t.Errorf("resumed: got %+v", r)
		}
		wantOnce(t, node, 1000)
	})
}

func TestUnresolvedBlockBehindTheDedupWindow(t *testing.T) {
	for _, c := range []struct {
		policy  feed.Policy
		after   time.Duration
		stops   bool
		counted int // events of the unresolved block
	}{
		{feed.Stop, 5 * time.Minute, false, 10},
		{feed.Stop, 10 * time.Minute, true, 10},
		{feed.Resend, 10 * time.Minute, false, 20}, // the fake node forgets below
		{feed.Skip, 10 * time.Minute, false, 10},
	} {
		t.Run(fmt.Sprint(c.policy, " after ", c.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, node := write(t, lines(40)), &fakeNode{}
				node.after = func(attempt int) error {
					if attempt >= 3 {
						return errReset // counted, but who knows
					}
					return nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				send(t, ctx, node, path, 10, false, func(cfg *feed.Config) {
					cfg.Parallel = 1
					cfg.Waiting = func(string) { cancel() }
				})
				time.Sleep(c.after)
				if c.after >= 10*time.Minute {
					clear(node.keys)
				}
				node.after = nil
				r := send(t, t.Context(), node, path, 0, false, func(cfg *feed.Config) { cfg.Unresolved = c.policy })
				var unresolved *feed.UnresolvedError
				if errors.As(r.err, &unresolved) != c.stops || (r.err != nil) != c.stops {
					t.Fatalf("got %+v", r)
				}
				if c.stops {
					if unresolved.Block != 2 || unresolved.First != 21 || unresolved.Last != 30 || !strings.Contains(r.err.Error(), "lines 21 to 30") {
						t.Errorf("got %+v", unresolved)
					}
					return
				}
				n := 0
				for _, line := range node.order {
					if line >= `{"topic":"t000020"}` && line < `{"topic":"t000030"}` {
						n++
					}
				}
				if n != c.counted {
					t.Errorf("%d events of the unresolved block counted, want %d", n, c.counted)
				}
				if (r.totals.Skipped == 1) != (c.policy == feed.Skip) {
					t.Errorf("skipped %d blocks", r.totals.Skipped)
				}
			})
		})
	}
}

// What was under way at a kill must be known to the next run, however late it
// comes.
func TestKilledAndResumedBehindTheDedupWindowStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(40)), &fakeNode{}
		var left []byte
		node.before = func(int) (err error) {
			if left == nil {
				left, err = os.ReadFile(path + ".progress")
			}
			return err
		}
		if r := send(t, t.Context(), node, path, 10, false, nil); r.err != nil {
			t.Fatal(r.err)
		}
		if err := os.WriteFile(path+".progress", left, 0o600); err != nil {
			t.Fatal(err)
		}
		clear(node.keys) // the node has forgotten them
		time.Sleep(time.Hour)
		var unresolved *feed.UnresolvedError
		if r := send(t, t.Context(), node, path, 0, false, nil); !errors.As(r.err, &unresolved) {
			t.Errorf("got %+v", r)
		}
	})
}
