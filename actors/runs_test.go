package actors

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

// TestForgottenIDsLeaveNothing: no file, no open file, no memory.
func TestForgottenIDsLeaveNothing(t *testing.T) {
	store := newFolder(t, t.TempDir())
	d := newDedup(40*messages.Second, store, nil)
	d.limits = small
	steps := randomSteps(rand.New(rand.NewPCG(1, 12)), 300)
	most := 0
	for i := range steps {
		steps[i].window = 40 * messages.Second
		if _, err := steps[i].take(d); err != nil {
			t.Fatal(err)
		}
		names, err := store.List()
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(names))
	}
	end := steps[len(steps)-1].arrival + messages.Hour
	if err := d.advance(end); err != nil {
		t.Fatal(err)
	}
	drain(t, d)
	names, err := store.List()
	if err != nil || len(names) > 0 || most < 3 {
		t.Errorf("there are the files %v, %v; there were %d", names, err, most)
	}
	if now, _ := d.bytes(); now != 0 {
		t.Errorf("%d bytes", now)
	}
	d.close()
}

// TestRunsBecomeFew: as many ids as a full generation of 16 sets have at most
// three runs of a size, and one when the generation has ended.
func TestRunsBecomeFew(t *testing.T) {
	d := newDedup(4*messages.Hour, newFolder(t, t.TempDir()), nil)
	d.limits = small
	defer d.close()
	at := messages.Day
	rng := rand.New(rand.NewPCG(1, 13))
	for generation := range generationsPerWindow {
		for set := range 40 {
			for range small.set {
				if err := d.advance(at); err != nil {
					t.Fatal(err)
				}
				if _, err := d.seenID(eventID{Hi: rng.Uint64(), Lo: rng.Uint32()}); err != nil {
					t.Fatal(err)
				}
			}
			drain(t, d)
			if runs := len(d.generations[generation].runs); runs > 3*3 {
				t.Fatalf("%d runs of %d sets", runs, set+1)
			}
		}
		at += messages.Hour
		if err := d.advance(at); err != nil {
			t.Fatal(err)
		}
		drain(t, d)
		if g := d.generations[generation]; len(g.runs) != 1 || len(g.full) > 0 || g.runs[0].Count != uint64(40*small.set) {
			t.Fatalf("an ended generation has %d runs, %d sets", len(g.runs), len(g.full))
		}
	}
}

// drain waits until no run is to be made.
func drain(t *testing.T, d *dedup) {
	t.Helper()
	for d.sealing != nil {
		<-d.sealing.done
		if err := d.poll(); err != nil {
			t.Fatal(err)
		}
	}
}

// fillRuns is a table with ids in a file, and the file's path.
func fillRuns(t *testing.T, store *folder) (*dedup, []eventID, string) {
	t.Helper()
	d := newDedup(messages.Hour, store, nil)
	d.limits = small
	rng := rand.New(rand.NewPCG(1, 14))
	if err := d.advance(messages.Day); err != nil {
		t.Fatal(err)
	}
	var ids []eventID
	for range 4*small.set + 1 {
		ids = append(ids, eventID{Hi: rng.Uint64(), Lo: rng.Uint32()})
		if _, err := d.seenID(ids[len(ids)-1]); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, d)
	if len(d.runs) != 1 || d.runs[0].Count != uint64(4*small.set) {
		t.Fatalf("%d runs", len(d.runs))
	}
	return d, ids, filepath.Join(store.dir, d.runs[0].name)
}

// damage changes two bytes of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{0xff, 0xee}, 200); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMergingADamagedRunStopsThePartition: the error names the damaged file,
// not only the one that was to be made, and says what to do.
func TestMergingADamagedRunStopsThePartition(t *testing.T) {
	d, _, path := fillRuns(t, newFolder(t, t.TempDir()))
	defer d.close()
	damage(t, path)
	err := d.advance(messages.Day + messages.Hour/2)
	for err == nil && d.sealing != nil {
		<-d.sealing.done
		err = d.poll()
	}
	if !errors.Is(err, seen.ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(path)) || !strings.Contains(err.Error(), "remove that file") {
		t.Errorf("a damaged run was merged: %v", err)
	}
}

// TestADamagedRunStopsThePartition: it names the file; no id is denied, then
// or later, and a snapshot does not take the damage along.
func TestADamagedRunStopsThePartition(t *testing.T) {
	d, ids, path := fillRuns(t, newFolder(t, t.TempDir()))
	defer d.close()
	damage(t, path)
	for range 2 {
		if _, err := d.seenID(ids[0]); !errors.Is(err, seen.ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("an id in a damaged run: %v", err)
		}
	}
	if err := d.advance(messages.Day + messages.Minute); !errors.Is(err, seen.ErrDamaged) {
		t.Errorf("afterwards: %v", err)
	}
	frozen := d.freeze()
	defer frozen.release()
	if err := frozen.save(newSnapshot(nil)); !errors.Is(err, seen.ErrDamaged) {
		t.Errorf("saved: %v", err)
	}
}

// TestARunThatCannotBeWrittenStopsThePartition: the take behind it fails, and
// names the file; no id was denied before.
func TestARunThatCannotBeWrittenStopsThePartition(t *testing.T) {
	store := newFolder(t, t.TempDir())
	store.fail = func(string) error { return syscall.ENOSPC }
	d := newDedup(messages.Hour, store, nil)
	d.limits = small
	defer d.close()
	if err := d.advance(messages.Day); err != nil {
		t.Fatal(err)
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		var repeated bool
		if repeated, err = d.seenID(eventID{Hi: uint64(n) << 40}); repeated {
			t.Fatalf("id %d was there", n)
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), ".ids") || n > (maxWaiting+2)*small.set {
		t.Errorf("after %d ids: %v", n, err)
	}
}

// TestALocalFileIsOnlyTakenIfItIsTheRun: a file of a run's name that is
// damaged, or of other ids, is replaced by the snapshot's.
func TestALocalFileIsOnlyTakenIfItIsTheRun(t *testing.T) {
	store := newFolder(t, t.TempDir())
	d, ids, path := fillRuns(t, store)
	snap := newSnapshot(nil)
	frozen := d.freeze()
	if err := frozen.save(snap); err != nil {
		t.Fatal(err)
	}
	frozen.release()
	d.close()
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var other strings.Builder
	more := []seen.Packed{{1, 2, 3}}
	if _, err := new(seen.Workspace).Make(seen.HeaderOf(0, more), []seen.Source{{IDs: more}}, &other, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string]string{"right": string(right), "short": string(right[:len(right)-1]), "empty": "", "other": other.String()} {
		if err := os.WriteFile(path, []byte(bytes), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".other", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		d := newDedup(0, store, nil)
		d.limits = small
		if err := d.load(stored{snap}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, id := range ids {
			if repeated, err := d.seenID(id); err != nil || !repeated {
				t.Fatalf("%s: id %d: %v, %v", name, i, repeated, err)
			}
		}
		d.close()
		if names, err := store.List(); err != nil || len(names) != 1 {
			t.Errorf("%s: files %v, %v", name, names, err)
		}
	}
}
