package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

// rememberAll is the table in its obvious form: a map of every id per
// generation, and one of keys.
type rememberAll struct {
	window      messages.Micros
	generations []*rememberedGeneration
	keys        map[fingerprint]keyEntry
	order       []keyRecord
}

type rememberedGeneration struct {
	start, end messages.Micros
	ids        map[eventID]bool
}

func (r *rememberAll) advance(arrival messages.Micros) {
	for len(r.generations) > 0 && r.generations[0].end <= arrival-r.window {
		r.generations = r.generations[1:]
	}
	if n := len(r.generations); n == 0 || r.generations[n-1].end <= arrival {
		length := max(1, r.window/4)
		start := arrival.Floor(length)
		if n > 0 {
			start = max(start, r.generations[n-1].end)
		}
		r.generations = append(r.generations, &rememberedGeneration{start, arrival.Floor(length) + length, map[eventID]bool{}})
	}
	for len(r.order) > 0 && r.order[0].end+r.window+keySlack <= arrival {
		if first := r.order[0]; r.keys[first.key].end == first.end {
			delete(r.keys, first.key)
		}
		r.order = r.order[1:]
	}
}

func (r *rememberAll) setWindow(window, arrival messages.Micros) {
	if window == r.window {
		return
	}
	r.window = window
	if n := len(r.generations); n > 0 {
		last := r.generations[n-1]
		last.end = max(last.start+1, min(last.end, arrival+1))
	}
}

func (r *rememberAll) seenID(id eventID) bool {
	for _, g := range r.generations {
		if g.ids[id] {
			return true
		}
	}
	r.generations[len(r.generations)-1].ids[id] = true
	return false
}

func (r *rememberAll) seenKey(key fingerprint, stamp messages.Micros, e keyEntry) (keyEntry, bool) {
	if old, ok := r.keys[key]; ok && old.end+r.window > stamp {
		return old, true
	}
	length := max(1, r.window/4)
	e.end = e.stamp.Floor(length) + length
	r.keys[key] = e
	r.order = append(r.order, keyRecord{key, e})
	return keyEntry{}, false
}

// step is what a record, or a block, asks of the table.
type step struct {
	arrival, window messages.Micros
	ids             []eventID
	key             fingerprint // zero: none
	stamp           messages.Micros
}

// take does a step and says what came of it.
func (s *step) take(d *dedup) (string, error) {
	if err := d.advance(s.arrival); err != nil {
		return "", err
	}
	d.setWindow(s.window, s.arrival)
	said := make([]byte, 0, len(s.ids))
	d.foresee(s.ids)
	for _, id := range s.ids {
		repeated, err := d.seenID(id)
		if err != nil {
			return "", err
		}
		said = fmt.Append(said, map[bool]int{true: 1}[repeated])
	}
	if s.key != (fingerprint{}) {
		e, ok := d.findKey(s.key, s.stamp)
		if !ok {
			d.addKey(s.key, s.entry())
		}
		said = fmt.Append(said, ok, e)
	}
	return string(said), nil
}

func (s *step) entry() keyEntry {
	return keyEntry{stamp: s.stamp, body: messages.BodyHash{byte(s.stamp)}, position: fmt.Append(nil, s.stamp)}
}

func (s *step) oracle(r *rememberAll) string {
	r.advance(s.arrival)
	r.setWindow(s.window, s.arrival)
	var said []byte
	for _, id := range s.ids {
		said = fmt.Append(said, map[bool]int{true: 1}[r.seenID(id)])
	}
	if s.key != (fingerprint{}) {
		e, ok := r.seenKey(s.key, s.stamp, s.entry())
		said = fmt.Append(said, ok, e)
	}
	return string(said)
}

// randomSteps are those of one partition: log time mostly creeps and now and
// then leaps; ids come again soon, late, or never; some are alike.
func randomSteps(rng *rand.Rand, n int) []step {
	arrival, window := messages.Hour, 40*messages.Second
	var steps []step
	var ids []eventID
	for range n {
		switch rng.IntN(60) {
		case 0:
			arrival += messages.Micros(rng.Int64N(int64(2 * window)))
		case 1:
			window = messages.Second * messages.Micros(1+rng.IntN(60))
		default:
			arrival += messages.Micros(rng.Int64N(int64(messages.Second)))
		}
		s := step{arrival: arrival, window: window, stamp: arrival - messages.Micros(rng.Int64N(int64(30*messages.Second)))}
		for range rng.IntN(40) {
			id := eventID{Hi: rng.Uint64(), Lo: rng.Uint32()}
			switch {
			case len(ids) > 0 && rng.IntN(3) == 0:
				id = ids[len(ids)-1-rng.IntN(min(len(ids), 2000))]
			case rng.IntN(10) == 0:
				id = eventID{Hi: rng.Uint64N(3), Lo: rng.Uint32N(100)}
			}
			ids = append(ids, id)
			s.ids = append(s.ids, id)
		}
		if rng.IntN(4) == 0 {
			s.key = fingerprint{1, 1 + rng.Uint64N(30)}
		}
		steps = append(steps, s)
	}
	return steps
}

// small limits, so that there are many runs of few ids.
var small = dedupLimits{set: 64, resident: 16}

// TestDedupIsAMapOfEverything: the table forgets and remembers as maps do,
// whenever its runs are made, in files and in memory; saved at a record,
// loaded beside the files of a later moment, in another folder or without one,
// and given the rest of the log, it says the same again.
func TestDedupIsAMapOfEverything(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			steps := randomSteps(rng, 600)
			oracle := &rememberAll{window: steps[0].window, keys: map[fingerprint]keyEntry{}}
			want := make([]string, len(steps))
			for i := range steps {
				want[i] = steps[i].oracle(oracle)
			}
			var store RunStore
			if seed%3 > 0 {
				store = newFolder(t, t.TempDir())
			}
			sealers := NewSealers(1)
			d := newDedup(steps[0].window, store, sealers)
			d.limits = small
			defer func() { d.close() }()
			var before *snapshot
			for i := 0; i < len(steps); i++ {
				got, err := steps[i].take(d)
				if err != nil || got != want[i] {
					t.Fatalf("step %d: %s, %v, want %s", i, got, err, want[i])
				}
				if rng.IntN(50) > 0 {
					continue
				}
				// Saved while it goes on for some steps, which are lost then.
				frozen, snap, saved := d.freeze(), newSnapshot(before), make(chan error, 1)
				go func() { saved <- frozen.save(snap) }()
				for j := i + 1; j < min(i+rng.IntN(100), len(steps)); j++ {
					if got, err := steps[j].take(d); err != nil || got != want[j] {
						t.Fatalf("step %d while saving: %s, %v, want %s", j, got, err, want[j])
					}
				}
				if err := <-saved; err != nil {
					t.Fatal(err)
				}
				frozen.release()
				d.close()
				if store != nil && rng.IntN(3) == 0 {
					store = newFolder(t, t.TempDir())
				}
				d = newDedup(0, store, sealers)
				d.limits = small
				if err := d.load(stored{snap}); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				before = snap
			}
			if before == nil {
				t.Error("nothing was saved")
			}
		})
	}
}

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

// TestASharedRunIsSavedOnce: the second snapshot has the first one's runs
// without writing them.
func TestASharedRunIsSavedOnce(t *testing.T) {
	d, _, _ := fillRuns(t, newFolder(t, t.TempDir()))
	defer d.close()
	save := func(before *snapshot) *snapshot {
		t.Helper()
		s, frozen := newSnapshot(before), d.freeze()
		defer frozen.release()
		if err := frozen.save(s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := save(nil)
	second := save(first)
	if first.writes != 1 || second.writes != 0 {
		t.Errorf("runs were written %d times, then %d", first.writes, second.writes)
	}
}

// TestAMalformedTableIsRefused: cut off anywhere, or with more behind it.
func TestAMalformedTableIsRefused(t *testing.T) {
	d, _, _ := fillRuns(t, newFolder(t, t.TempDir()))
	defer d.close()
	d.addKey(fingerprint{1, 2}, keyEntry{stamp: messages.Day, position: []byte{1, 2, 3}})
	frozen, snap := d.freeze(), newSnapshot(nil)
	defer frozen.release()
	if err := frozen.save(snap); err != nil {
		t.Fatal(err)
	}
	whole := snap.parts[dedupPart]
	load := func(data []byte) error {
		snap.parts[dedupPart] = data
		d, err := loadDedup(stored{snap}, nil, nil)
		if err == nil {
			d.close()
		}
		return err
	}
	if err := load(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := load(whole[:n]); err == nil {
			t.Fatalf("%d bytes of %d were taken", n, len(whole))
		}
	}
	if err := load(append(whole[:len(whole):len(whole)], 0)); !errors.Is(err, errSaved) {
		t.Errorf("a byte too many: %v", err)
	}
	newer := append([]byte{}, whole...)
	newer[8] = 2
	if err := load(newer); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
}

// TestTheNextGrowthIsForeseen: what the door was told before an id is enough
// for what the table holds behind it.
func TestTheNextGrowthIsForeseen(t *testing.T) {
	for _, store := range []RunStore{nil, newFolder(t, t.TempDir())} {
		d := newDedup(messages.Hour, store, nil)
		if err := d.advance(messages.Day); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(5*seen.MaxSet + 10) {
			_, next := d.bytes()
			if _, err := d.seenID(numberedID(n)); err != nil {
				t.Fatal(err)
			}
			if now, _ := d.bytes(); now > next {
				t.Fatalf("%d bytes after id %d, foreseen were %d", now, n, next)
			}
			drain(t, d)
		}
		d.close()
	}
}

// FuzzLoadDedup: whatever the table's part says, an error or a table that can
// be saved again.
func FuzzLoadDedup(f *testing.F) {
	d := newDedup(messages.Minute, nil, nil)
	for i := range uint64(5) {
		if err := d.advance(messages.Day + messages.Micros(i)*20*messages.Second); err != nil {
			f.Fatal(err)
		}
		if _, err := d.seenID(numberedID(i)); err != nil {
			f.Fatal(err)
		}
		d.addKey(fingerprint{i, i}, keyEntry{stamp: messages.Day, position: []byte{1, 2}})
	}
	snap := newSnapshot(nil)
	if err := d.freeze().save(snap); err != nil {
		f.Fatal(err)
	}
	f.Add(snap.parts[dedupPart])
	f.Fuzz(func(t *testing.T, data []byte) {
		from := &snapshot{parts: map[string][]byte{}, shared: map[string][]byte{}}
		for name, b := range snap.parts {
			from.parts[name] = b
		}
		from.parts[dedupPart] = data
		d, err := loadDedup(stored{from}, nil, nil)
		if err != nil {
			return
		}
		defer d.close()
		again := newSnapshot(nil)
		if err := d.freeze().save(again); err != nil || string(again.parts[dedupPart]) != string(data) {
			t.Errorf("saved again, it is %x, %v, not %x", again.parts[dedupPart], err, data)
		}
	})
}

// TestFreezingCopiesNoIDs: a million of them, in less than a millisecond and a
// hundredth of their bytes. CREST_TEST_IDS is another number of them.
func TestFreezingCopiesNoIDs(t *testing.T) {
	ids := uint64(1_000_000)
	if s := os.Getenv("CREST_TEST_IDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil || n < ids {
			t.Fatalf("CREST_TEST_IDS %q: want a number of %d at least", s, ids)
		}
		ids = n
	}
	d := newDedup(messages.Hour, nil, nil)
	defer d.close()
	for i := range ids {
		if i%seen.MaxSet == 0 {
			if err := d.advance(messages.Day + messages.Micros(i)*messages.Hour/messages.Micros(ids)); err != nil {
				t.Fatal(err)
			}
		}
		if repeated, err := d.seenID(numberedID(i)); err != nil || repeated {
			t.Fatal(repeated, err)
		}
	}
	var least time.Duration
	var bytes uint64 // the least; what goes on in the background allocates too
	for i := range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := time.Now()
		frozen := d.freeze()
		took := time.Since(begun)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; i == 0 || allocated < bytes {
			bytes = allocated
		}
		if i == 0 || took < least {
			least = took
		}
		frozen.release()
	}
	if least > time.Millisecond || bytes > ids*16/100 {
		t.Errorf("freezing took %v and %d bytes", least, bytes)
	}
	if allocated := testing.AllocsPerRun(10, func() { d.freeze().release() }); allocated > 100 {
		t.Errorf("%v allocations", allocated)
	}
}

// TestDedupBytesAreExact: what the table says it holds is what the heap grew by.
func TestDedupBytesAreExact(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const window = messages.Hour
	for _, name := range []string{"ids in files", "ids in memory", "keys"} {
		t.Run(name, func(t *testing.T) {
			var store RunStore
			if name == "ids in files" {
				store = newFolder(t, t.TempDir())
			}
			sealers := NewSealers(1)
			before := heap()
			d := newDedup(window, store, sealers)
			at := messages.Day
			for n := range uint64(700_000) {
				at += window / 400_000
				if err := d.advance(at); err != nil {
					t.Fatal(err)
				}
				if name != "keys" {
					if _, err := d.seenID(numberedID(n)); err != nil {
						t.Fatal(err)
					}
				} else if n%4 == 0 {
					id := numberedID(n)
					d.addKey(fingerprint{id.Hi, n}, keyEntry{stamp: at, position: make([]byte, 32)})
				}
			}
			drain(t, d)
			// The room for making runs is the node's, not the table's.
			<-sealers.free
			sealers.free <- new(seen.Workspace)
			now, next := d.bytes()
			grown := heap() - before
			if grown < now*9/10 || grown > now*11/10 || next < now {
				t.Errorf("the heap grew by %d, the table says %d, then %d", grown, now, next)
			}
			d.close()
		})
	}
}
