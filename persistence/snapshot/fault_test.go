package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// history is what a script has been told.
type history struct {
	acked messages.Offset          // the last Save that returned nil
	tried map[messages.Offset]bool // all that were begun
}

// script is the life of a partition: a few owners, saves, cursors, sweeps. It
// goes on after every error, as a node would, and calls after each step.
// If strict it has to load the newest snapshot that was acknowledged; otherwise
// the store may fail so often that it has to be content with an older one.
func script(t *testing.T, s *Store, h *history, strict bool, step func(what string, err error)) {
	t.Helper()
	save := func(p *Partition, o messages.Offset) {
		h.tried[o] = true
		err := save(p, o)
		if err == nil {
			h.acked = o
		}
		step(fmt.Sprint("save ", o), err)
	}
	next := messages.Offset(1)
	for owner := range 2 {
		p, err := s.Take(ctx, 0)
		step(fmt.Sprint("take over ", owner), err)
		if err != nil {
			continue
		}
		o, found, w, err := load(p)
		if w != nil {
			t.Fatal(w.what)
		}
		if strict && err == nil && found && o < h.acked {
			t.Fatalf("loaded %d after %d was acknowledged", o, h.acked)
		}
		step("load", err)
		for i := range 3 {
			save(p, next)
			next++
			step("cursor", p.SetCursor(ctx, "c", uint64(next)))
			if i == 1 {
				_, err = p.Sweep(ctx)
				step("sweep", err)
			}
		}
		_, err = p.MoveOn(ctx, next-1)
		step("move on", err)
		save(p, next)
		next++
		_, err = p.Sweep(ctx)
		step("sweep", err)
	}
}

// TestEveryOperationFailsInEveryWay: a store that answers with an error at the
// n-th operation, having done it or not, or doing it later, or never answering
// again (a power loss): the manifest names whole snapshots at every moment, and
// what was acknowledged is there, or something newer that was begun.
func TestEveryOperationFailsInEveryWay(t *testing.T) {
	for _, kind := range []string{"fails", "is done and fails", "is refused", "comes later", "is the last", "is done and the last"} {
		t.Run(strings.ReplaceAll(kind, " ", "-"), func(t *testing.T) {
			for n := 1; ; n++ {
				memory := faultstore.NewMemory()
				tricky := newTricky(memory)
				faulty := faultstore.New(tricky, uint64(n), faultstore.Faults{})
				fault := faultstore.Fault{At: n, Done: strings.HasPrefix(kind, "is done"), Sticky: strings.HasSuffix(kind, "last")}
				var ops atomic.Int64
				tricky.hook = func(string, string) { ops.Add(1) }
				watch := &watcher{objects: tricky}
				switch kind {
				case "is refused":
					fault.Err = objectstore.ErrChanged
				case "comes later":
					fault = faultstore.Fault{}
					tricky.late = func(string) bool { return ops.Load() == int64(n) }
				}
				faulty.Inject(fault)
				h := &history{tried: map[messages.Offset]bool{}}
				steps := 0
				// One operation at a time, so that n is the same in every run.
				s := newStore(t, faulty, func(c *Config) { c.InFlight = 1 })
				script(t, s, h, fault.At == 0 || !fault.Sticky, func(what string, err error) {
					steps++
					if kind == "comes later" && err == nil && steps%3 == 0 {
						tricky.haunt()
					}
					if errors.Is(err, ErrFenced) {
						t.Fatalf("operation %d %s: %s: nobody else is there: %v", n, kind, what, err)
					}
					if err != nil && !errors.Is(err, faultstore.ErrInjected) && !errors.Is(err, errLate) && !errors.Is(err, objectstore.ErrChanged) {
						t.Fatalf("operation %d %s: %s: %v", n, kind, what, err)
					}
					watch.sound(t, 0, fmt.Sprintf("operation %d %s: after %s", n, kind, what))
				})
				tricky.haunt()
				over := faulty.Ops() < n
				p := take(t, newStore(t, memory), 0)
				o, found, w, err := load(p)
				switch {
				case w != nil:
					t.Fatalf("operation %d %s: %s", n, kind, w.what)
				case err != nil:
					t.Fatalf("operation %d %s: %v", n, kind, err)
				case found && !h.tried[o] || o < h.acked || !found && h.acked > 0:
					t.Fatalf("operation %d %s: loaded %d (%v), acknowledged %d", n, kind, o, found, h.acked)
				}
				mustSave(t, p, 100)
				if _, err := p.Sweep(ctx); err != nil {
					t.Fatal(err)
				}
				mustLoad(t, take(t, newStore(t, memory), 0), 100)
				if over {
					if n < 60 || o != 8 {
						t.Fatalf("the script has %d operations and ends with %d", n, o)
					}
					return
				}
			}
		})
	}
}

// TestAStoreThatIsBadAllTheTime: shares of everything that can go wrong.
func TestAStoreThatIsBadAllTheTime(t *testing.T) {
	for seed := range uint64(60) {
		memory := faultstore.NewMemory()
		faulty := faultstore.New(memory, seed, faultstore.Faults{Fail: 0.05, Lose: 0.1, Refuse: 0.05, Omit: 0.2, Stale: 0.3})
		h := &history{tried: map[messages.Offset]bool{}}
		script(t, newStore(t, faulty), h, false, func(what string, err error) {
			if errors.Is(err, ErrFenced) {
				t.Fatalf("seed %d: %s: nobody else is there: %v", seed, what, err)
			}
			sound(t, memory, fmt.Sprintf("seed %d: after %s", seed, what))
		})
		if len(memory.Keys()) == 0 {
			continue // the first take-over failed both times
		}
		o, found, w, err := load(take(t, newStore(t, memory), 0))
		if w != nil || err != nil || found && !h.tried[o] || o < h.acked {
			t.Fatalf("seed %d: loaded %d (%v, %v), acknowledged %d", seed, o, w, err, h.acked)
		}
	}
}
