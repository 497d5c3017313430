package eventlog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// script opens a log, appends frames over several segments, and closes it.
// What fails on the way fails.
func script(t *testing.T, fs *persistencetest.FS, past *history) {
	cfg := testConfig(fs)
	cfg.SegmentBytes = 4 << 10
	l, err := eventlog.Open(cfg)
	if err != nil {
		return
	}
	rng := rand.New(rand.NewPCG(1, 1))
	stopped := false
	for range 25 {
		f := past.newFrame(rng)
		pos := make(messages.Position, testPartitions)
		switch err := l.Append(t.Context(), f, pos); {
		case err == nil && stopped:
			t.Fatal("the log takes frames again after an error")
		case err == nil:
			past.ack(f, pos)
		case !errors.Is(err, messages.ErrStopped):
			t.Fatalf("append: %v", err)
		default:
			stopped = true
		}
		if stopped && l.Err() == nil {
			t.Fatal("the log is stopped, but Err is nil")
		}
	}
	// What was acknowledged can be read, whatever has happened to the disk's
	// willingness to write.
	if err := past.check(l); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// Every operation fails in turn, in several ways; nothing that was
// acknowledged, or could be read, is ever missing afterwards.
func TestNoAcknowledgedFrameIsLostWhicheverOperationFails(t *testing.T) {
	clean := persistencetest.New(0)
	script(t, clean, newHistory())
	if clean.Ops() < 80 {
		t.Fatalf("the script has %d operations only", clean.Ops())
	}
	faults := map[string]persistencetest.Fault{
		"EIO":             {Err: syscall.EIO},
		"EIO for ever":    {Err: syscall.EIO, Sticky: true},
		"full":            {Err: syscall.ENOSPC},
		"full, half done": {Err: syscall.ENOSPC, Short: true},
		"full for ever":   {Err: syscall.ENOSPC, Short: true, Sticky: true},
	}
	for name, fault := range faults {
		for n := 1; n <= clean.Ops(); n++ {
			for variant := range uint64(3) {
				fault.At = n
				if err := runFault(t, fault, variant); err != nil {
					t.Errorf("%s at operation %d, variant %d: %v", name, n, variant, err)
				}
			}
		}
	}
}

func runFault(t *testing.T, fault persistencetest.Fault, variant uint64) error {
	fs, past := persistencetest.New(variant), newHistory()
	fs.Inject(fault)
	script(t, fs, past)
	// Restarts: at once, after a power loss, or after both.
	if variant != 1 {
		fs = fs.Kill()
	}
	for restart := range uint64(3) {
		if variant > 0 && restart < 2 {
			fs = fs.PowerLoss(variant*100 + restart)
		}
		cfg := testConfig(fs)
		cfg.SegmentBytes = 4 << 10
		l, err := eventlog.Open(cfg)
		if err != nil {
			return fmt.Errorf("restart %d: %w", restart, err)
		}
		if err := past.check(l); err != nil {
			return fmt.Errorf("restart %d: %w", restart, errors.Join(err, l.Close()))
		}
		f := past.newFrame(rand.New(rand.NewPCG(restart, 2)))
		past.ack(f, mustAppend(t, l, f))
		mustClose(t, l)
	}
	return nil
}

// Frames that wait while a sync fails fail with it, without touching the disk.
func TestFramesBehindAFailedSyncFailToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		l := mustOpen(t, testConfig(fs))
		gate := gatedSync(fs)
		results := make(chan error, 3)
		for n := range 3 {
			go func() {
				results <- l.Append(t.Context(), testFrame(n, 10, 0), make(messages.Position, testPartitions))
			}()
			synctest.Wait()
		}
		ops := fs.Ops() + 1
		fs.Inject(persistencetest.Fault{At: ops, Err: syscall.EIO})
		close(gate)
		for range 3 {
			if err := <-results; !errors.Is(err, messages.ErrStopped) || !errors.Is(err, syscall.EIO) {
				t.Error(err)
			}
		}
		if fs.Ops() != ops {
			t.Error("the disk was touched again")
		}
		mustClose(t, l)
	})
}

func TestAFailedSyncIsNeverTriedAgain(t *testing.T) {
	fs, past := persistencetest.New(3), newHistory()
	l := mustOpen(t, testConfig(fs))
	rng := rand.New(rand.NewPCG(3, 3))
	f := past.newFrame(rng)
	past.ack(f, mustAppend(t, l, f))
	fs.Inject(persistencetest.Fault{At: fs.Ops() + 2, Err: syscall.EIO}) // write, sync
	pos := make(messages.Position, testPartitions)
	err := l.Append(t.Context(), past.newFrame(rng), pos)
	if !errors.Is(err, messages.ErrStopped) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("append: %v", err)
	}
	ops := fs.Ops()
	if err := l.Append(t.Context(), past.newFrame(rng), pos); !errors.Is(err, messages.ErrStopped) || !errors.Is(l.Err(), messages.ErrStopped) {
		t.Fatalf("append: %v, state: %v", err, l.Err())
	}
	if fs.Ops() != ops {
		t.Fatal("the disk was touched again")
	}
	if err := past.check(l); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
