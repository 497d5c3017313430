package snapshot

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestTheOwnerBeforeIsFenced(t *testing.T) {
	objects := faultstore.NewMemory()
	a := take(t, newStore(t, objects), 1)
	mustSave(t, a, 10)
	var b *Partition
	// The new owner comes while the old one is writing, and saves first.
	err := a.Save(ctx, infoOf(1, 11), func(w messages.PartWriter) error {
		b = take(t, newStore(t, objects, func(c *Config) { c.Owner = "node-b" }), 1)
		mustLoad(t, b, 10)
		mustSave(t, b, 12)
		return writeBlobs(w, contentOf(1, 11))
	})
	if !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), `"node-b"`) {
		t.Fatalf("the old owner's save: %v", err)
	}
	_, loadErr := a.Load(ctx, func(*messages.SnapshotInfo, messages.PartReader) error {
		t.Error("a fenced owner was given a snapshot")
		return nil
	})
	_, sweepErr := a.Sweep(ctx)
	_, oldestErr := a.Oldest(ctx)
	_, moveErr := a.MoveOn(ctx, 99)
	for what, err := range map[string]error{
		"save": save(a, 13), "load": loadErr, "sweep": sweepErr, "oldest": oldestErr,
		"cursor": a.SetCursor(ctx, "x", 1), "move on": moveErr,
	} {
		if !errors.Is(err, ErrFenced) {
			t.Errorf("%s of a fenced owner: %v", what, err)
		}
	}
	mustLoad(t, b, 12)
	mustSave(t, b, 13)
	mustLoad(t, take(t, newStore(t, objects), 1), 13)
	sound(t, objects, "at the end")
}

// TestAFencedOwnerNoticesWhateverItDoesFirst.
func TestAFencedOwnerNoticesWhateverItDoesFirst(t *testing.T) {
	for what, do := range map[string]func(*Partition) error{
		"save":    func(p *Partition) error { return save(p, 30) },
		"cursor":  func(p *Partition) error { return p.SetCursor(ctx, "x", 1) },
		"sweep":   func(p *Partition) error { _, err := p.Sweep(ctx); return err },
		"move on": func(p *Partition) error { _, err := p.MoveOn(ctx, 20); return err },
	} {
		objects := faultstore.NewMemory()
		a := take(t, newStore(t, objects), 0)
		mustSave(t, a, 10, 20)
		before := len(objects.Keys())
		take(t, newStore(t, objects), 0)
		if err := do(a); !errors.Is(err, ErrFenced) {
			t.Errorf("%s: %v", what, err)
		}
		if what == "sweep" && len(objects.Keys()) != before {
			t.Error("a fenced owner swept")
		}
	}
}

// TestOneOfManyOwnersWins: whatever they all do at the same time, of one epoch
// there is one owner, and what it was told is saved is what the next one finds.
func TestOneOfManyOwnersWins(t *testing.T) {
	objects := faultstore.NewMemory()
	s := newStore(t, objects)
	mustSave(t, take(t, s, 0), 1)
	for round := range 30 {
		var mu sync.Mutex
		owners := map[uint64]int{}
		last := map[uint64]messages.Offset{} // by epoch, the last that was acknowledged
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				p, err := s.Take(ctx, 0)
				if err != nil {
					if !errors.Is(err, ErrFenced) {
						t.Errorf("round %d: %v", round, err)
					}
					return
				}
				mu.Lock()
				owners[p.Epoch()]++
				mu.Unlock()
				for j := range 3 {
					o := messages.Offset(1000*round + 10*i + j + 10)
					if err := save(p, o); err != nil {
						if !errors.Is(err, ErrFenced) {
							t.Errorf("round %d: %v", round, err)
						}
						return
					}
					mu.Lock()
					last[p.Epoch()] = o
					mu.Unlock()
					_, _ = p.Sweep(ctx)
				}
			})
		}
		wg.Wait()
		newest := uint64(0)
		for e, n := range owners {
			if n != 1 {
				t.Fatalf("round %d: %d owners of epoch %d", round, n, e)
			}
			if last[e] > 0 {
				newest = max(newest, e)
			}
		}
		if newest == 0 {
			t.Fatalf("round %d: nobody saved", round)
		}
		sound(t, objects, "after a round")
		mustLoad(t, take(t, s, 0), last[newest])
	}
}

// TestALostAnswerIsReadBack: the put has happened, and only its answer is lost.
func TestALostAnswerIsReadBack(t *testing.T) {
	for _, answer := range []error{errLate, objectstore.ErrChanged, objectstore.ErrExists} {
		faulty := faultstore.New(faultstore.NewMemory(), 1, faultstore.Faults{})
		s := newStore(t, faulty)
		faulty.Inject(faultstore.Fault{At: 3, Err: answer, Done: true}) // get, list, put
		p, err := s.Take(ctx, 0)
		if err != nil || p.Epoch() != 1 {
			t.Fatalf("take over, first: %v", err)
		}
		faulty.Inject(faultstore.Fault{At: faulty.Ops() + 2, Err: answer, Done: true}) // get, put
		if p, err = s.Take(ctx, 0); err != nil || p.Epoch() != 2 {
			t.Fatalf("take over: %v", err)
		}
		mustSave(t, p, 1)
		faulty.Inject(faultstore.Fault{At: faulty.Ops() + 1, Err: answer, Done: true})
		if err := p.SetCursor(ctx, "x", 1); err != nil {
			t.Fatal(err)
		}
		for n := 1; ; n++ {
			faulty.Inject(faultstore.Fault{At: faulty.Ops() + n, Err: answer, Done: true})
			before := faulty.Ops()
			if err := save(p, messages.Offset(n+1)); err != nil {
				t.Fatalf("operation %d of a save: %v", n, err)
			}
			mustLoad(t, p, messages.Offset(n+1))
			if faulty.Ops()-before < n {
				break
			}
		}
	}
}

// TestALateManifestIsOneOfOurs: a put that was given up happens after all, in
// the middle of what comes next.
func TestALateManifestIsOneOfOurs(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects, func(c *Config) { c.KeepRoots = 1 }), 0)
	mustSave(t, p, 10)
	objects.late = func(string) bool { return true }
	if err := save(p, 11); err == nil {
		t.Fatal("a save without an answer succeeded")
	}
	objects.late = nil
	if got := offsets(p.Roots()); len(got) != 1 || got[0] != 10 {
		t.Errorf("roots %v", got)
	}
	// It comes while parts are written that the root before it has.
	err := p.Save(ctx, infoOf(0, 12), func(w messages.PartWriter) error {
		objects.haunt()
		return writeBlobs(w, contentOf(0, 12))
	})
	if err != nil {
		t.Fatal(err)
	}
	sound(t, objects, "after a late manifest")
	mustLoad(t, take(t, newStore(t, objects), 0), 12)
}

// TestASweepKeepsWhatTheNextSaveMayShare: a late manifest has taken the loaded
// root's place, and its parts are used again all the same.
func TestASweepKeepsWhatTheNextSaveMayShare(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects, func(c *Config) { c.KeepRoots = 1 }), 0)
	write := func(w messages.PartWriter, names ...string) error {
		for _, n := range names {
			if err := w.Shared(n, func(w io.Writer) error { _, err := w.Write([]byte(n)); return err }); err != nil {
				return err
			}
		}
		return nil
	}
	saveParts := func(o messages.Offset, names ...string) error {
		return p.Save(ctx, infoOf(0, o), func(w messages.PartWriter) error { return write(w, names...) })
	}
	if err := saveParts(1, "a", "b"); err != nil {
		t.Fatal(err)
	}
	objects.late = func(string) bool { return true }
	if saveParts(2, "b") == nil {
		t.Fatal("a save without an answer succeeded")
	}
	objects.late = nil
	if _, err := p.Sweep(ctx); err != nil { // before it comes
		t.Fatal(err)
	}
	objects.haunt()
	sound(t, objects, "after a late manifest")
	if _, err := p.Sweep(ctx); err != nil { // and after
		t.Fatal(err)
	}
	if err := saveParts(3, "a", "b"); err != nil {
		t.Fatal(err)
	}
	sound(t, objects, "after a save that shares")
}
