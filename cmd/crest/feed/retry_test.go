package feed_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/cmd/crest/feed"
)

func TestFailuresInBetweenCountNothingTwice(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			fail := func(errs ...error) func(int) error {
				return func(int) error {
					if rng.IntN(3) == 0 {
						return errs[rng.IntN(len(errs))]
					}
					return nil
				}
			}
			path := write(t, lines(200))
			node := &fakeNode{before: fail(errDial, errFull, errDown, errReset), after: fail(errReset, errDown)}
			r := send(t, t.Context(), node, path, 7, false, nil)
			if r.err != nil || r.totals.Events != 200 {
				t.Fatalf("seed %d: got %+v", seed, r)
			}
			wantOnce(t, node, 200)
		})
	}
}

func TestNodeThatDoesNotAnswerIsLeftAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(100)), &fakeNode{took: 24 * time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r := send(t, ctx, node, path, 10, false, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) || time.Since(began) != 11*time.Second {
			t.Errorf("ended after %v with %v", time.Since(began), r.err)
		}
	})
}

func TestRetriesEndBeforeTheKeyIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(10)), &fakeNode{after: func(int) error { return errReset }}
		began := time.Now()
		r := send(t, t.Context(), node, path, 10, false, func(c *feed.Config) { c.Patience = time.Hour })
		var unresolved *feed.UnresolvedError
		if !errors.As(r.err, &unresolved) {
			t.Fatalf("got %v", r.err)
		}
		if took := time.Since(began); took < 9*time.Minute || took > 9*time.Minute+30*time.Second {
			t.Errorf("gave up after %v", took)
		}
		wantOnce(t, node, 10)
	})
}

func TestSilentNodeIsGivenUp(t *testing.T) {
	for name, err := range map[string]error{"unreachable": errDial, "full": errFull} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, node := write(t, lines(100)), &fakeNode{before: func(attempt int) error {
					if attempt > 3 {
						return err
					}
					return nil
				}}
				began := time.Now()
				r := send(t, t.Context(), node, path, 10, false, nil)
				if !errors.Is(r.err, err) || !strings.Contains(r.err.Error(), "2m0s") {
					t.Errorf("got %v", r.err)
				}
				if took := time.Since(began); took < 2*time.Minute || took > 2*time.Minute+15*time.Second {
					t.Errorf("gave up after %v", took)
				}
				time.Sleep(time.Hour)
				node.before = nil
				if r := send(t, t.Context(), node, path, 0, false, nil); r.err != nil {
					t.Errorf("what was surely not counted could not be sent later: %v", r.err)
				}
				wantOnce(t, node, 100)
			})
		})
	}
}
