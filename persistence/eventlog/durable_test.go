package eventlog

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/persistencetest"
)

var testLog = messages.LogID{1, 2}

func makeTestDurable(t *testing.T, fs *persistencetest.FS) *durable {
	t.Helper()
	if err := makeDurable(fs, "/d", testLog, durableMark{sequence: 1, length: 10}); err != nil {
		t.Fatal(err)
	}
	return reopenDurable(t, fs)
}

func reopenDurable(t *testing.T, fs *persistencetest.FS) *durable {
	t.Helper()
	m, slot, err := readMark(fs, "/d", testLog)
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDurable(fs, "/d", testLog, m, slot)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wantLength(t *testing.T, fs *persistencetest.FS, want int64) {
	t.Helper()
	if m, _, err := readMark(fs, "/d", testLog); err != nil || m.length != want {
		t.Fatalf("mark %+v, want length %d: %v", m, want, err)
	}
}

func TestTheNewerMarkHolds(t *testing.T) {
	fs := persistencetest.New(1)
	d := makeTestDurable(t, fs)
	for n := int64(20); n < 30; n++ {
		if err := d.advance(0, n); err != nil {
			t.Fatal(err)
		}
		wantLength(t, fs, n)
		if n%3 == 0 {
			if err := d.sync(); err != nil {
				t.Fatal(err)
			}
		}
		if n%4 == 0 { // a restart goes on where the last process was
			d = reopenDurable(t, fs)
		}
	}
}

// Whenever the power goes, the mark is one that was written since the last
// sync, or the one before: torn slots never hide both.
func TestAMarkIsNeverLostToATornSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(300) {
			fs := persistencetest.New(seed)
			d := makeTestDurable(t, fs)
			fs.SyncDelay = func() time.Duration { return time.Second }
			synced := int64(10)
			for n := int64(11); n < 20; n++ {
				if err := d.advance(0, n); err != nil {
					t.Fatal(err)
				}
				if n == 12 || n == 17 {
					go d.sync()
					time.Sleep(time.Millisecond) // marks during the sync, too
				}
				if n == 14 {
					time.Sleep(2 * time.Second)
					synced = 12
				}
			}
			after := fs.PowerLoss(seed)
			m, _, err := readMark(after, "/d", testLog)
			if err != nil || m.length < synced || m.length > 19 {
				t.Fatalf("seed %d: mark %+v, synced was %d: %v", seed, m, synced, err)
			}
			time.Sleep(2 * time.Second) // for the sync under way
		}
	})
}

func TestAMarkDoesNotWaitForASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		d := makeTestDurable(t, fs)
		gate := make(chan struct{})
		fs.SyncDelay = func() time.Duration { <-gate; return 0 }
		if err := d.advance(0, 20); err != nil {
			t.Fatal(err)
		}
		synced := make(chan error)
		go func() { synced <- d.sync() }()
		synctest.Wait()
		if err := d.advance(0, 30); err != nil {
			t.Fatal(err)
		}
		wantLength(t, fs, 20)
		gate <- struct{}{}
		if err := <-synced; err != nil {
			t.Fatal(err)
		}
		wantLength(t, fs, 30) // made up for
		close(gate)
	})
}

func TestAFailedSideFileIsNotTouchedAgain(t *testing.T) {
	fs := persistencetest.New(1)
	d := makeTestDurable(t, fs)
	if err := d.advance(0, 20); err != nil {
		t.Fatal(err)
	}
	fs.Inject(persistencetest.Fault{At: fs.Ops() + 1, Err: syscall.EIO})
	for range 3 {
		if err := d.sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	ops := fs.Ops()
	if err := errors.Join(d.advance(0, 30), d.settle()); !errors.Is(err, syscall.EIO) || fs.Ops() != ops {
		t.Fatalf("%v, %d operations more", err, fs.Ops()-ops)
	}
}
