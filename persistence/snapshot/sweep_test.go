package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestASweepRemovesWhatNoRootNames(t *testing.T) {
	memory := faultstore.NewMemory()
	s := newStore(t, memory)
	p := take(t, s, 0)
	mustSave(t, p, 1, 2, 3, 4, 5, 6)
	_ = p.Save(ctx, infoOf(0, 7), func(w messages.PartWriter) error {
		return errors.Join(writeBlobs(w, contentOf(0, 7)), errors.New("no"))
	})
	others := folderOf(testLog().ID, 0) + "notes.txt"
	_, _ = memory.Put(ctx, others, []byte("somebody's"))
	before := len(memory.Keys())
	swept, err := p.Sweep(ctx)
	if err != nil || swept.Removed == 0 || swept.Spared != 0 || before-swept.Removed != len(memory.Keys()) {
		t.Fatalf("swept %+v of %d, %v", swept, before, err)
	}
	want := map[string]bool{others: true, p.place.key(manifestName): true}
	for _, e := range p.manifest.Roots {
		want[p.place.key(e.Key)] = true
		for _, part := range p.roots[e.Key].Parts {
			for _, o := range part.Objects {
				want[p.place.key(o.Key)] = true
			}
		}
	}
	for _, k := range memory.Keys() {
		if !want[k] {
			t.Errorf("%s is still there", k)
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("%v are gone", want)
	}
	if swept, err = p.Sweep(ctx); err != nil || swept.Removed != 0 {
		t.Errorf("then swept %+v, %v", swept, err)
	}
	mustLoad(t, p, 6)
}

// TestWhatIsOfAnEpochToComeIsSpared: the next owner may be writing it.
func TestWhatIsOfAnEpochToComeIsSpared(t *testing.T) {
	memory := newTricky(faultstore.NewMemory())
	a := take(t, newStore(t, memory), 0)
	mustSave(t, a, 1, 2, 3, 4)
	var b *Partition
	memory.hook = func(op, _ string) {
		if op != "list" || b != nil {
			return
		}
		b = take(t, newStore(t, memory), 0)
		err := b.Save(ctx, infoOf(0, 5), func(w messages.PartWriter) error {
			if err := writeBlobs(w, contentOf(0, 5)); err != nil {
				return err
			}
			// Now the old owner sees all of it in its list, and removes.
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	swept, err := a.Sweep(ctx)
	if err != nil || swept.Spared == 0 || swept.Removed == 0 {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	sound(t, memory, "after a late sweep")
	mustLoad(t, b, 5)
}

// TestPartsOfARootThatCannotBeReadStay: what it names is not known.
func TestPartsOfARootThatCannotBeReadStay(t *testing.T) {
	memory := faultstore.NewMemory()
	mustSave(t, take(t, newStore(t, memory), 0), 1)
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 2, 3, 4, 5)
	root := p.place.key(p.manifest.Roots[1].Key)
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }
	memory.Damage(root, flip)
	p = take(t, newStore(t, memory), 0)
	swept, err := p.Sweep(ctx)
	if err != nil || swept.Removed != 0 || swept.Spared == 0 {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	memory.Damage(root, flip)
	sound(t, memory, "with the root back")
	memory.Damage(root, flip)
	mustSave(t, p, 6, 7, 8) // it is replaced
	if swept, err = p.Sweep(ctx); err != nil || swept.Removed == 0 || swept.Spared != 0 {
		t.Fatalf("then swept %+v, %v", swept, err)
	}
	sound(t, memory, "at the end")
}

// TestRootsGoBeforeTheirParts, so that a root that is there is whole.
func TestRootsGoBeforeTheirParts(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects), 0)
	mustSave(t, p, 1, 2, 3, 4, 5)
	var order []string
	objects.hook = func(op, key string) {
		if op == "delete" {
			order = append(order, key[strings.LastIndex(key, "."):])
		}
	}
	if _, err := p.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if len(order) < 3 || !slices.IsSortedFunc(order, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("order %v", order)
	}
}

// TestAnythingMayHappenBetweenTwoOperations is a simulation: up to three owners
// at a time take over, load, save, sweep, move on and set cursors, one in the
// middle of what another does, over a store that fails, loses answers, lists
// what is old, and does puts long after they were given up. At each moment every
// root that is named is whole, and what is loaded is right.
func TestAnythingMayHappenBetweenTwoOperations(t *testing.T) {
	var total struct{ saved, fenced, swept, nested int }
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		memory := faultstore.NewMemory()
		tricky := newTricky(memory)
		faulty := faultstore.New(tricky, seed, faultstore.Faults{Fail: 0.02, Lose: 0.05, Refuse: 0.02, Omit: 0.1, Stale: 0.3})
		s := newStore(t, faulty, func(c *Config) { c.InFlight = 1; c.KeepRoots = 1 + rng.IntN(3) })
		owners := make([]*Partition, 3)
		busy := make([]bool, 3)
		next, depth := messages.Offset(0), 0
		tricky.late = func(string) bool { return rng.IntN(20) == 0 }
		var act func()
		tricky.hook = func(op, key string) {
			// Parts are written by other goroutines: nothing is put in between those.
			if strings.HasSuffix(key, ".part") && op != "delete" {
				return
			}
			if rng.IntN(6) == 0 && depth < 3 {
				total.nested++
				act()
			}
			if rng.IntN(10) == 0 {
				tricky.haunt()
			}
		}
		act = func() {
			depth++
			defer func() { depth-- }()
			i := rng.IntN(len(owners))
			if busy[i] {
				return
			}
			busy[i] = true
			defer func() { busy[i] = false }()
			what := ""
			var err error
			switch p := owners[i]; {
			case p == nil || rng.IntN(20) == 0:
				what = "take over"
				if p, err = s.Take(ctx, 0); err == nil {
					owners[i] = p
					if _, _, w, _ := load(p); w != nil {
						t.Fatalf("seed %d: %s", seed, w.what)
					}
				}
			default:
				switch rng.IntN(6) {
				case 0, 1, 2:
					what = "save"
					next++
					if err = save(p, next); err == nil {
						total.saved++
					}
				case 3, 4:
					what = "sweep"
					var swept Swept
					swept, err = p.Sweep(ctx)
					total.swept += swept.Removed
				case 5:
					what = "move on"
					_, err = p.MoveOn(ctx, next)
				}
			}
			if errors.Is(err, ErrFenced) {
				total.fenced++
				owners[i] = nil
			}
			// Straight from the memory, which has no hook.
			report, verr := Verify(ctx, memory, nil)
			if verr != nil || !report.Sound() && len(memory.Keys()) > 0 {
				t.Fatalf("seed %d: after owner %d tried to %s: %v\n%s", seed, i, what, verr, describe(report))
			}
		}
		for range 60 {
			act()
		}
		tricky.hook, tricky.late = nil, nil
		tricky.haunt()
		faulty.Set(faultstore.Faults{})
		sound(t, memory, fmt.Sprintf("seed %d", seed))
		p := take(t, s, 0)
		if _, _, w, err := load(p); w != nil || err != nil {
			t.Fatalf("seed %d: %v, %v", seed, w, err)
		}
		mustSave(t, p, next+1, next+2, next+3)
		if _, err := p.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if left, err := List(ctx, memory); err != nil || left[0].Objects > 100 {
			t.Fatalf("seed %d: %d objects are left, %v", seed, left[0].Objects, err)
		}
		mustLoad(t, take(t, s, 0), next+3)
	}
	t.Logf("%+v", total)
	if total.saved < 500 || total.fenced < 100 || total.swept < 500 || total.nested < 500 {
		t.Errorf("too little has happened: %+v", total)
	}
}

var _ objectstore.Store = (*faultstore.Store)(nil)
