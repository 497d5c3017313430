package actors

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

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
	d.addKey(fingerprint{1, 2}, keyEntry{end: d.keyEnd(messages.Day), stamp: messages.Day, position: []byte{1, 2, 3}})
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
		d.addKey(fingerprint{i, i}, keyEntry{end: d.keyEnd(messages.Day), stamp: messages.Day, position: []byte{1, 2}})
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
	// More tries on a machine that has other work.
	for i := 0; i < 10 || least > time.Millisecond && i < 1000; i++ {
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
