package snapshot

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir, err := objectstore.Dir(nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, objects := range map[string]objectstore.Store{"memory": faultstore.NewMemory(), "dir": dir} {
		t.Run(name, func(t *testing.T) {
			p := take(t, newStore(t, objects), 2)
			if o, found, _, err := load(p); found || err != nil {
				t.Fatalf("an empty store has a snapshot at %d, %v", o, err)
			}
			for o := messages.Offset(1); o <= 12; o++ {
				mustSave(t, p, o)
				mustLoad(t, p, o)
				mustLoad(t, take(t, newStore(t, objects), 2), o)
				p = take(t, newStore(t, objects), 2)
				if o%2 == 0 {
					mustLoad(t, p, o)
				}
				sound(t, objects, "after a save")
			}
			if got := offsets(p.Roots()); !slices.Equal(got, []messages.Offset{12, 11, 10}) {
				t.Fatalf("kept roots %v", got)
			}
			if p.Epoch() != 25 {
				t.Fatalf("epoch %d after 25 take-overs", p.Epoch())
			}
		})
	}
}

func TestPartsAreReadInAnyOrderAndAsFarAsWanted(t *testing.T) {
	p := take(t, newStore(t, faultstore.NewMemory()), 0)
	big := randomBytes(5, 100_000)
	blobs := []blob{{"a", false, []byte("small")}, {"big", false, big}, {"c", false, nil}, {"d", false, big[:9000]}}
	err := p.Save(ctx, infoOf(0, 1), func(w messages.PartWriter) error { return writeBlobs(w, blobs) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error {
		if !slices.Equal(r.Names(), []string{"a", "big", "c", "d"}) {
			t.Errorf("names %q", r.Names())
		}
		for _, i := range []int{3, 1, 1, 0, 2, 1} {
			err := r.Part(blobs[i].name, func(r io.Reader) error {
				got, err := io.ReadAll(r)
				if !bytes.Equal(got, blobs[i].bytes) {
					t.Errorf("part %s has other bytes", blobs[i].name)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		err := r.Part("big", func(r io.Reader) error {
			got := make([]byte, 50_000)
			_, err := io.ReadFull(r, got)
			if !bytes.Equal(got, big[:50_000]) {
				t.Error("the beginning of a part has other bytes")
			}
			return err
		})
		if r.Part("x", func(io.Reader) error { return nil }) == nil {
			t.Error("there is a part that was not written")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSharedPartsAreWrittenOnce: only what the lease has itself read to its end,
// or saved, is used again.
func TestSharedPartsAreWrittenOnce(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	s := newStore(t, objects)
	p := take(t, s, 0)
	calls := 0
	saveBoth := func(o messages.Offset) int {
		t.Helper()
		before := objects.count("put")
		err := p.Save(ctx, infoOf(0, o), func(w messages.PartWriter) error {
			write := func(w io.Writer) error {
				calls++
				_, err := w.Write([]byte("for ever"))
				return err
			}
			return errors.Join(w.Shared("closed", write), w.Part("open", write))
		})
		if err != nil {
			t.Fatal(err)
		}
		return objects.count("put") - before
	}
	readOnly := func(names ...string) {
		t.Helper()
		found, err := p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error {
			for _, n := range names {
				if err := r.Part(n, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || !found {
			t.Fatal(found, err)
		}
	}
	const both, one = 4, 3 // puts, with root and manifest
	if n := saveBoth(1); n != both {
		t.Errorf("the first save took %d puts", n)
	}
	if n := saveBoth(2); n != one {
		t.Errorf("the second save took %d puts", n)
	}
	p = take(t, s, 0)
	if n := saveBoth(3); n != both {
		t.Errorf("an owner that has loaded nothing took %d puts", n)
	}
	p = take(t, s, 0)
	readOnly("open")
	if n := saveBoth(4); n != both {
		t.Errorf("an owner that has not read the part took %d puts", n)
	}
	p = take(t, s, 0)
	readOnly("closed")
	if n := saveBoth(5); n != one {
		t.Errorf("an owner that has read the part took %d puts", n)
	}
	if calls != 2+1+2+2+1 {
		t.Errorf("parts were written %d times", calls)
	}
	sound(t, objects, "at the end")
}

func TestOldestHoldsTheLogUntilThereAreEnoughRoots(t *testing.T) {
	p := take(t, newStore(t, faultstore.NewMemory()), 0)
	for i, want := range []messages.Offset{0, 0, 10, 15, 15, 15, 18} {
		mustSave(t, p, []messages.Offset{10, 20, 15, 30, 40, 18, 50}[i])
		got, err := p.Oldest(ctx)
		if i == 4 || i == 5 {
			want = []messages.Offset{15, 18}[i-4]
		}
		if err != nil || got != want {
			t.Errorf("after save %d: oldest %d, %v, want %d of %v", i+1, got, err, want, offsets(p.Roots()))
		}
	}
}

func TestAQuietPartitionMovesOn(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects), 0)
	if moved, err := p.MoveOn(ctx, 100); moved || err != nil {
		t.Fatalf("moved on from nothing: %v", err)
	}
	mustSave(t, p, 10, 20, 30)
	puts := objects.count("put")
	if moved, err := p.MoveOn(ctx, 10); moved || err != nil {
		t.Fatalf("moved on from what nobody wants: %v", err)
	}
	if moved, err := p.MoveOn(ctx, 15); !moved || err != nil {
		t.Fatal(moved, err)
	}
	if n := objects.count("put") - puts; n != 1 {
		t.Errorf("it took %d puts", n)
	}
	if got := offsets(p.Roots()); !slices.Equal(got, []messages.Offset{30, 20}) {
		t.Errorf("kept %v", got)
	}
	if o, _ := p.Oldest(ctx); o != 20 {
		t.Errorf("oldest %d", o)
	}
	if moved, err := p.MoveOn(ctx, 99); !moved || err != nil {
		t.Fatal(moved, err)
	}
	if o, _ := p.Oldest(ctx); o != 30 {
		t.Errorf("oldest %d", o)
	}
	mustSave(t, p, 40)
	if o, _ := p.Oldest(ctx); o != 30 {
		t.Errorf("oldest %d after a save", o)
	}
	if _, err := p.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, take(t, newStore(t, objects), 0), 40)
	sound(t, objects, "at the end")

	// A single snapshot moves on as well, but never one that is damaged.
	q := take(t, newStore(t, objects), 1)
	mustSave(t, q, 7)
	if o, _ := q.Oldest(ctx); o != 0 {
		t.Errorf("oldest %d of one", o)
	}
	memory := objects.Store.(*faultstore.Memory)
	part := findKeys(memory, "/0001/", ".part")[0]
	memory.Damage(part, func(b []byte) []byte { b[80] ^= 1; return b })
	if moved, err := q.MoveOn(ctx, 7); moved || err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("moved on to a damaged snapshot: %v, %v", moved, err)
	}
	memory.Damage(part, func(b []byte) []byte { b[80] ^= 1; return b })
	if moved, err := q.MoveOn(ctx, 7); !moved || err != nil {
		t.Error(moved, err)
	}
	if o, _ := q.Oldest(ctx); o != 7 {
		t.Errorf("oldest %d of one that has moved on", o)
	}
}

func findKeys(m *faultstore.Memory, in, suffix string) []string {
	var found []string
	for _, k := range m.Keys() {
		if strings.Contains(k, in) && strings.HasSuffix(k, suffix) {
			found = append(found, k)
		}
	}
	return found
}

func TestCursorsStayWithThePartition(t *testing.T) {
	objects := faultstore.NewMemory()
	p := take(t, newStore(t, objects), 3)
	if err := p.SetCursor(ctx, "history", 1<<63+1); err != nil {
		t.Fatal(err)
	}
	mustSave(t, p, 1)
	p = take(t, newStore(t, objects), 3)
	if err := p.SetCursor(ctx, "archive", 2); err != nil {
		t.Fatal(err)
	}
	// Beside a Save that is under way.
	err := p.Save(ctx, infoOf(3, 2), func(w messages.PartWriter) error { return p.SetCursor(ctx, "archive", 3) })
	if err != nil {
		t.Fatal(err)
	}
	c := take(t, newStore(t, objects), 3).Cursors()
	if len(c) != 2 || c["history"] != 1<<63+1 || c["archive"] != 3 {
		t.Errorf("cursors %v", c)
	}
	for i := range maxCursors + 1 {
		err = take(t, newStore(t, objects), 3).SetCursor(ctx, strings.Repeat("x", i+1), 1)
		if err != nil {
			break
		}
	}
	if !errors.Is(err, errTooLarge) {
		t.Errorf("as many cursors as one likes: %v", err)
	}
}

func TestAnotherLogIsRefusedByName(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 2)
	mustSave(t, p, 5)
	for name, change := range map[string]func(*messages.LogIdentity){
		"4 partitions, not 8": func(l *messages.LogIdentity) { l.Partitions = 8 },
		"hash key":            func(l *messages.LogIdentity) { l.HashKey[1] = 1 },
	} {
		log := testLog()
		change(log)
		other, err := New(memory, log, testConfig())
		if err != nil {
			t.Fatal(err)
		}
		_, err = other.Take(ctx, 2)
		if !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "/0002/manifest") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Objects of another log or partition in this one's place.
	foreign := testLog()
	foreign.ID[0]++
	other, _ := New(memory, foreign, testConfig())
	q := take(t, other, 2)
	mustSave(t, q, 6)
	theirs, _, _ := memory.Get(ctx, q.place.key(manifestName))
	memory.Damage(p.place.key(manifestName), func([]byte) []byte { return theirs })
	_, err := newStore(t, memory).Take(ctx, 2)
	if !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), hexID(foreign.ID).String()) {
		t.Errorf("another log's manifest: %v", err)
	}
	if bytes.Contains(theirs, testLog().HashKey[:8]) || !bytes.Contains(theirs, []byte(q.id.HashKey.String())) {
		t.Error("a manifest names the hash key by its id and does not have it")
	}
	if _, err := newStore(t, memory).Take(ctx, 4); err == nil {
		t.Error("a partition that the log does not have was taken over")
	}
}

// TestALostManifestIsNotAnEmptyStore: nothing is ever started from silently.
func TestALostManifestIsNotAnEmptyStore(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 5)
	key := p.place.key(manifestName)
	memory.Damage(key, func([]byte) []byte { return nil })
	if _, err := newStore(t, memory).Take(ctx, 0); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), key) {
		t.Errorf("a missing manifest: %v", err)
	}
	if err := p.SetCursor(ctx, "x", 1); !errors.Is(err, ErrFenced) {
		t.Errorf("the owner without a manifest: %v", err)
	}
	// Parts alone are what a first Save has left that did not get far. Their
	// epoch is not used again.
	for _, k := range findKeys(memory, "/0000/", ".root") {
		_ = memory.Delete(ctx, k)
	}
	if q := take(t, newStore(t, memory), 0); q.Epoch() != 2 {
		t.Errorf("epoch %d", q.Epoch())
	}
}

func TestOlderRootsAreReadAndLogged(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10, 20, 30)
	var log bytes.Buffer
	s := newStore(t, memory, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	roots := p.Roots()
	newest := roots[0].Key
	memory.Damage(newest, func(b []byte) []byte { return bytes.Replace(b, []byte("crest-root 1"), []byte("crest-root 9"), 1) })
	p = take(t, s, 0)
	mustLoad(t, p, 20)
	line := log.String()
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, newest+": it is of format version 9, and this program reads [1]") ||
		!strings.Contains(line, roots[1].Key) {
		t.Errorf("logged: %s", line)
	}
	memory.Damage(roots[1].Key, func(b []byte) []byte { return nil })
	memory.Damage(roots[2].Key, func(b []byte) []byte { return b[:len(b)-1] })
	_, found, _, err := load(p)
	if found || !errors.Is(err, ErrUnreadable) {
		t.Fatalf("found %v, %v", found, err)
	}
	for _, r := range roots {
		if !strings.Contains(err.Error(), r.Key) {
			t.Errorf("%s is not named in: %v", r.Key, err)
		}
	}
}

// TestAReaderThatTakesNoNoticeOfDamageDoesNotGetAwayWithIt.
func TestAReaderThatTakesNoNoticeOfDamageDoesNotGetAwayWithIt(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10)
	part := p.roots[p.manifest.Roots[0].Key].part("slice/8")
	memory.Damage(p.place.key(part.Objects[1].Key), func(b []byte) []byte { b[len(b)-1]++; return b })
	_, err := p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error {
		_ = r.Part("slice/8", func(r io.Reader) error { _, _ = io.ReadAll(r); return nil })
		return nil
	})
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), part.Objects[1].Key) {
		t.Errorf("got %v", err)
	}
}

func TestASaveThatFailsNamesNothing(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 10)
	mine := errors.New("mine")
	part := func(w messages.PartWriter, name string, err error) error {
		return w.Part(name, func(w io.Writer) error {
			_, _ = w.Write(make([]byte, 10_000))
			return err
		})
	}
	for name, write := range map[string]func(messages.PartWriter) error{
		"the writer fails": func(w messages.PartWriter) error { return errors.Join(part(w, "a", nil), mine) },
		"a part fails, unnoticed": func(w messages.PartWriter) error {
			_ = part(w, "a", mine)
			_ = part(w, "b", nil)
			return nil
		},
		"a name twice":    func(w messages.PartWriter) error { _ = part(w, "a", nil); _ = part(w, "a", nil); return nil },
		"an empty name":   func(w messages.PartWriter) error { _ = part(w, "", nil); return nil },
		"a name of noise": func(w messages.PartWriter) error { _ = part(w, "\xff", nil); return nil },
		"a long name": func(w messages.PartWriter) error {
			_ = part(w, strings.Repeat("x", MaxPartName+1), nil)
			return nil
		},
	} {
		err := p.Save(ctx, infoOf(0, 11), write)
		if err == nil || strings.Contains(name, "fails") && !errors.Is(err, mine) {
			t.Errorf("%s: %v", name, err)
		}
		mustLoad(t, p, 10)
	}
	if err := p.Save(ctx, infoOf(1, 11), func(messages.PartWriter) error { return nil }); err == nil {
		t.Error("a snapshot of another partition was saved")
	}
	if swept, err := p.Sweep(ctx); err != nil || swept.Removed == 0 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	mustLoad(t, p, 10)
	func() {
		defer func() { _ = recover() }()
		_ = p.Save(ctx, infoOf(0, 11), func(w messages.PartWriter) error { _ = part(w, "a", nil); panic("mine") })
	}()
	mustSave(t, p, 12) // a panic leaves no lock behind
	mustLoad(t, p, 12)
}

func TestConfigNamesWhatIsOutOfRange(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"KeepRoots":      func(c *Config) { c.KeepRoots = 0 },
		"Owner":          func(c *Config) { c.Owner = strings.Repeat("x", 257) },
		"ObjectBytes":    func(c *Config) { c.ObjectBytes = MaxObject },
		"InFlight":       func(c *Config) { c.InFlight = 0 },
		"BytesPerSecond": func(c *Config) { c.BytesPerSecond = -1 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := New(faultstore.NewMemory(), testLog(), cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
