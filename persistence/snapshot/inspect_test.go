package snapshot

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func chosen(p messages.Partition) Choice {
	return Choice{Log: testLog().ID, Partition: p, Owner: "a person"}
}

func TestListShowsWhatAStoreHas(t *testing.T) {
	memory := faultstore.NewMemory()
	if found, err := List(ctx, memory); err != nil || len(found) != 0 {
		t.Fatalf("an empty store has %v, %v", found, err)
	}
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10, 20)
	if err := p.SetCursor(ctx, "history", 5); err != nil {
		t.Fatal(err)
	}
	take(t, newStore(t, memory), 3)
	second := testLog()
	second.ID[0] = 0x01
	s, _ := New(memory, second, testConfig())
	mustSave(t, take(t, s, 1), 7)
	mustSave(t, take(t, s, 2), 8)
	memory.Damage(folderOf(second.ID, 1)+manifestName, func(b []byte) []byte { return b[1:] })
	memory.Damage(folderOf(second.ID, 2)+manifestName, func([]byte) []byte { return nil })
	_, _ = memory.Put(ctx, "elsewhere/0000/manifest", []byte("not ours"))

	found, err := List(ctx, memory)
	if err != nil || len(found) != 4 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for i, want := range []string{"it is no manifest", "it is missing"} {
		var damage *DamageError
		if !errors.As(found[i].Err, &damage) || damage.Reason.Error() != want || found[i].Objects == 0 {
			t.Errorf("%+v, want %s", found[i], want)
		}
	}
	l := found[2]
	if l.Err != nil || l.Log != testLog().ID || l.Partition != 0 || l.Partitions != 4 || l.Epoch != 1 || l.Owner != "node-a" ||
		!slices.Equal(offsets(l.Roots), []messages.Offset{20, 10}) || l.Cursors["history"] != 5 || l.HashKey != p.id.HashKey.String() {
		t.Errorf("%+v", l)
	}
	r := l.Roots[0]
	if r.Arrival != 20_000 || r.Format != 7 || r.Epoch != 1 || r.Bytes == 0 || !r.Saved.Equal(testTime) || r.Partition != 0 {
		t.Errorf("%+v", r)
	}
	if len(found[3].Roots) != 0 || found[3].Partition != 3 || found[3].Epoch != 1 {
		t.Errorf("%+v", found[3])
	}
	if logs := Logs(found); !slices.Equal(logs, []messages.LogID{second.ID, testLog().ID}) {
		t.Errorf("logs %v", logs)
	}
	only, err := Verify(ctx, memory, &l.Log)
	if err != nil || !only.Sound() || len(only.Roots) != 2 || only.Objects == 0 || only.Bytes == 0 {
		t.Errorf("verified %+v, %v", only, err)
	}
	all, err := Verify(ctx, memory, nil)
	if err != nil || all.Sound() || len(all.Manifests) != 2 {
		t.Errorf("verified %+v, %v", all, err)
	}
}

// TestVerifyBesideAnOwner: what is replaced while it looks is not damage.
func TestVerifyBesideAnOwner(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects), 0)
	mustSave(t, p, 1, 2, 3)
	done := false
	objects.hook = func(op, key string) {
		if op == "get" && strings.HasSuffix(key, ".part") && !done {
			done = true
			mustSave(t, p, 10, 20, 30)
			if _, err := p.Sweep(ctx); err != nil {
				t.Error(err)
			}
		}
	}
	report, err := Verify(ctx, objects, nil)
	if err != nil || !report.Sound() || !done {
		t.Errorf("%v, %v: %s", done, err, describe(report))
	}
}

func TestRestoreMakesAnOlderSnapshotTheNewest(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10, 20, 30)
	c := chosen(0)
	c.AtMost = 29
	info, err := Restore(ctx, memory, c)
	if err != nil || info.Offset != 20 {
		t.Fatalf("restored %+v, %v", info, err)
	}
	if err := save(p, 40); !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "a person") {
		t.Errorf("the owner before goes on: %v", err)
	}
	p = take(t, newStore(t, memory), 0)
	if p.Epoch() != 3 || !slices.Equal(offsets(p.Roots()), []messages.Offset{20, 10}) {
		t.Errorf("epoch %d, roots %v", p.Epoch(), offsets(p.Roots()))
	}
	mustLoad(t, p, 20)
	if _, err := p.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	c = chosen(0)
	c.Root = p.Roots()[1].Key
	if info, err = Restore(ctx, memory, c); err != nil || info.Offset != 10 {
		t.Fatalf("restored %+v, %v", info, err)
	}
	mustLoad(t, take(t, newStore(t, memory), 0), 10)
	c.AtMost = 5
	if _, err = Restore(ctx, memory, c); !errors.Is(err, ErrNoSuchSnapshot) {
		t.Errorf("restored what is not there: %v", err)
	}
	if _, err = Restore(ctx, memory, chosen(1)); !errors.Is(err, ErrNoSuchSnapshot) {
		t.Errorf("restored what was never there: %v", err)
	}
}

// TestRestoreTakesWhatIsWhole: what is asked for by name and damaged is refused,
// and the newest that is whole is another one then.
func TestRestoreTakesWhatIsWhole(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10, 20, 30)
	newest := p.roots[p.manifest.Roots[0].Key]
	bad := ""
	for _, part := range newest.Parts { // of no other root: 30 is too far from 20
		if len(part.Objects) > 0 {
			bad = p.place.key(part.Objects[len(part.Objects)-1].Key)
		}
	}
	memory.Damage(bad, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	c := chosen(0)
	c.Root = newest.Key
	if _, err := Restore(ctx, memory, c); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), bad) {
		t.Errorf("restored what is damaged: %v", err)
	}
	if err := save(p, 31); err != nil {
		t.Errorf("a restore that was refused has fenced the owner: %v", err)
	}
	c = chosen(0)
	c.AtMost = 30
	if info, err := Restore(ctx, memory, c); err != nil || info.Offset != 20 {
		t.Errorf("restored %+v, %v", info, err)
	}
	mustLoad(t, take(t, newStore(t, memory), 0), 20)
}

func TestRestoreMakesAManifestFromRoots(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		memory := faultstore.NewMemory()
		p := take(t, newStore(t, memory), 0)
		mustSave(t, p, 10, 20)
		p = take(t, newStore(t, memory), 0)
		mustLoad(t, p, 20)
		mustSave(t, p, 21, 22, 30)
		// 10 and 20 are not named any more, but whole. Of 22 a part is missing.
		parts := p.roots[p.manifest.Roots[1].Key].Parts
		lost := ""
		for _, part := range parts {
			if !strings.HasPrefix(part.Name, "slice/") && len(part.Objects) > 0 {
				lost = p.place.key(part.Objects[0].Key)
			}
		}
		memory.Damage(lost, func([]byte) []byte { return nil })
		memory.Damage(p.place.key(manifestName), func(b []byte) []byte {
			if damaged {
				return b[:40]
			}
			return nil
		})
		info, err := Restore(ctx, memory, chosen(0))
		if err != nil || info.Offset != 30 {
			t.Fatalf("restored %+v, %v", info, err)
		}
		if err := save(p, 40); !errors.Is(err, ErrFenced) {
			t.Errorf("the owner before goes on: %v", err)
		}
		p = take(t, newStore(t, memory), 0)
		if p.Epoch() != 4 || !slices.Equal(offsets(p.Roots()), []messages.Offset{30, 21, 20, 10}) {
			t.Errorf("epoch %d, roots %v", p.Epoch(), offsets(p.Roots()))
		}
		mustLoad(t, p, 30)
		sound(t, memory, "after a restore")
	}
}

func TestRestoreSurvivesEveryFailure(t *testing.T) {
	for _, done := range []bool{false, true} {
		for n := 1; ; n++ {
			memory := faultstore.NewMemory()
			mustSave(t, take(t, newStore(t, memory), 0), 10, 20, 30)
			faulty := faultstore.New(memory, 1, faultstore.Faults{})
			faulty.Inject(faultstore.Fault{At: n, Done: done})
			c := chosen(0)
			c.AtMost = 20
			_, err := Restore(ctx, faulty, c)
			sound(t, memory, "after a restore")
			p := take(t, newStore(t, memory), 0)
			if err == nil {
				mustLoad(t, p, 20)
			} else if o, found, w, err := load(p); err != nil || w != nil || !found || o != 20 && o != 30 {
				t.Fatalf("operation %d: loaded %d, %v", n, o, err)
			}
			if faulty.Ops() < n {
				break
			}
		}
	}
}

func TestCopyTakesASnapshotElsewhere(t *testing.T) {
	from, to := faultstore.NewMemory(), faultstore.NewMemory()
	p := take(t, newStore(t, from), 0)
	mustSave(t, p, 10, 20, 30)
	if err := p.SetCursor(ctx, "history", 9); err != nil {
		t.Fatal(err)
	}
	c := chosen(0)
	c.AtMost = 20
	info, err := Copy(ctx, from, to, c)
	if err != nil || info.Offset != 20 {
		t.Fatalf("copied %+v, %v", info, err)
	}
	sound(t, to, "after a copy")
	q := take(t, newStore(t, to), 0)
	mustLoad(t, q, 20)
	if q.Cursors()["history"] != 9 || q.Epoch() < 3 {
		t.Errorf("cursors %v, epoch %d", q.Cursors(), q.Epoch())
	}
	mustSave(t, q, 25)
	// A newer one over it: what is there and older stays, the owner is fenced.
	if info, err = Copy(ctx, from, to, chosen(0)); err != nil || info.Offset != 30 {
		t.Fatalf("copied %+v, %v", info, err)
	}
	if err := save(q, 26); !errors.Is(err, ErrFenced) {
		t.Errorf("the owner there goes on: %v", err)
	}
	q = take(t, newStore(t, to), 0)
	if got := offsets(q.Roots()); !slices.Equal(got, []messages.Offset{30, 25, 20}) {
		t.Errorf("roots %v", got)
	}
	mustLoad(t, q, 30)
	// An older one: newer ones go.
	c.AtMost = 10
	if _, err = Copy(ctx, from, to, c); err != nil {
		t.Fatal(err)
	}
	q = take(t, newStore(t, to), 0)
	mustLoad(t, q, 10)
	if _, err := q.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, q, 10)
	mustLoad(t, take(t, newStore(t, from), 0), 30)

	other := testLog()
	other.HashKey[3] = 1
	s, _ := New(to, other, testConfig())
	if _, err := s.Take(ctx, 0); !errors.Is(err, ErrIdentity) {
		t.Errorf("a copy lost whose it is: %v", err)
	}
}

// TestACopyIsSafeFromTheOwnerThere, who may be in the middle of a sweep.
func TestACopyIsSafeFromTheOwnerThere(t *testing.T) {
	from, to := faultstore.NewMemory(), newTricky(faultstore.NewMemory())
	mustSave(t, take(t, newStore(t, from), 0), 10, 20, 30)
	q := take(t, newStore(t, to), 0)
	for range 3 {
		q = take(t, newStore(t, to), 0)
	}
	mustSave(t, q, 5)
	done := false
	to.hook = func(op, _ string) {
		if op == "list" && !done {
			done = true
			if _, err := Copy(ctx, from, to, chosen(0)); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := q.Sweep(ctx); err != nil || !done {
		t.Fatal(done, err)
	}
	sound(t, to, "after a copy")
	mustLoad(t, take(t, newStore(t, to), 0), 30)
}

func TestACopySurvivesEveryFailure(t *testing.T) {
	for _, done := range []bool{false, true} {
		for n := 1; ; n++ {
			from, to := faultstore.NewMemory(), faultstore.NewMemory()
			mustSave(t, take(t, newStore(t, from), 0), 10, 20)
			mustSave(t, take(t, newStore(t, to), 0), 5)
			faulty := faultstore.New(to, 1, faultstore.Faults{})
			faulty.Inject(faultstore.Fault{At: n, Done: done})
			_, err := Copy(ctx, from, faulty, chosen(0))
			sound(t, to, "after a copy")
			o, _, w, loadErr := load(take(t, newStore(t, to), 0))
			if w != nil || loadErr != nil || err == nil && o != 20 || o != 20 && o != 5 {
				t.Fatalf("operation %d: %v, and loaded %d, %v", n, err, o, loadErr)
			}
			if faulty.Ops() < n {
				break
			}
		}
	}
}
