package eventlog_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// restored is the identity of a log that is made anew, and where it begins.
var (
	restored = messages.LogIdentity{
		ID: messages.LogID{7, 7}, Partitions: testPartitions, Clock: messages.ClockEvent,
		HashKey: [32]byte{1, 2, 3}, Settings: messages.DefaultSettings(),
	}
	restoredStarts = messages.Position{100, 0, 1 << 40, 7}
)

const restoredStamp = messages.Micros(5_000_000)

func restoredConfig(fs *persistencetest.FS) eventlog.Config {
	cfg := testConfig(fs)
	cfg.Clock, cfg.HashKey = restored.Clock, &restored.HashKey
	return cfg
}

func createRestored(fs *persistencetest.FS) error {
	return eventlog.Create(fs, "/log", &restored, restoredStarts, restoredStamp)
}

// checkRestored wants a log that has what Create was told and nothing else.
func checkRestored(l *eventlog.Log) error {
	ends, begins := make(messages.Position, testPartitions), make(messages.Position, testPartitions)
	l.Ends(ends)
	l.Begins(begins)
	if l.Identity() != restored || l.LastStamp() != restoredStamp || l.Stats().Frames != 0 {
		return fmt.Errorf("identity %+v, last stamp %d, %d frames", l.Identity(), l.LastStamp(), l.Stats().Frames)
	}
	if !slices.Equal(begins, restoredStarts) || !slices.Equal(ends, restoredStarts) {
		return fmt.Errorf("the log begins at %d and ends at %d, want %d", begins, ends, restoredStarts)
	}
	return nil
}

func TestACreatedLogGoesOnBehindItsStarts(t *testing.T) {
	fs := persistencetest.New(1)
	if err := createRestored(fs); err != nil {
		t.Fatal(err)
	}
	cfg := restoredConfig(fs)
	l := mustOpen(t, cfg)
	if err := checkRestored(l); err != nil {
		t.Fatal(err)
	}
	frames := []*messages.Frame{testFrame(1, 10, 0, 2), testFrame(2, 9000, 1), testFrame(3, 9000, 2, 3)}
	for _, f := range frames {
		mustAppend(t, l, f)
	}
	for range 2 { // as appended, and as found again
		ends := make(messages.Position, testPartitions)
		l.Ends(ends)
		for p, want := range []messages.Offset{101, 1, 1<<40 + 3, 9} {
			if ends[p] != want {
				t.Errorf("partition %d ends at %d, want %d", p, ends[p], want)
			}
		}
		var b messages.Batch
		b.MaxBytes = 1 << 20
		if err := l.Read(t.Context(), 2, 1<<40, &b); err != nil || len(b.Blocks) == 0 || b.Blocks[0].Offset != 1<<40 || !strings.Contains(string(b.Blocks[0].Data), "frame 1 ") {
			t.Errorf("read at the start: %v, %+v", err, b.Blocks)
		}
		if err := l.Read(t.Context(), 2, 1<<40-1, &b); err == nil || !strings.Contains(err.Error(), "begins at 1099511627776") {
			t.Errorf("read below the start: %v, want an error that says where the log begins", err)
		}
		mustClose(t, l)
		l = mustOpen(t, cfg)
	}
	mustClose(t, l)
	r, err := eventlog.Verify(fs, "/log")
	if err != nil || len(r.Damage) > 0 || len(r.Lost) > 0 {
		t.Errorf("verify: %v, %+v", err, r)
	}
	frame := 0
	err = eventlog.Scan(fs, "/log", func(f eventlog.FrameInfo) error { frame++; return nil })
	if err != nil || frame != 3 {
		t.Errorf("scan: %v, %d frames", err, frame)
	}
}

func TestALogIsCreatedInAnEmptyFolderOnly(t *testing.T) {
	disk := persistencetest.New(1)
	l := mustOpen(t, testConfig(disk))
	if err := createRestored(disk); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("under an open log: %v", err)
	}
	mustClose(t, l)
	if err := createRestored(disk); err == nil || !strings.Contains(err.Error(), "want an empty folder") {
		t.Errorf("over a log: %v", err)
	}
	if err := eventlog.Create(persistencetest.New(1), "/log", &restored, restoredStarts[:2], 0); err == nil {
		t.Error("two offsets for four partitions are taken")
	}
	if _, err := eventlog.ReadIdentity(disk, "/elsewhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("identity of nothing: %v", err)
	}
	disk.WriteFile("/copy", []byte("not an identity"))
	if _, err := eventlog.ReadIdentity(disk, "/copy"); err == nil || !strings.Contains(err.Error(), "/copy") {
		t.Errorf("identity of something else: %v", err)
	}
}

// Whatever fails and whenever the power does: a log of that identity has these
// starts. Frames at offsets that snapshots hold already would be dropped
// without a word.
func TestALogIsCreatedWholeOrNotAtAll(t *testing.T) {
	clean := persistencetest.New(0)
	if err := createRestored(clean); err != nil {
		t.Fatal(err)
	}
	ops := clean.Ops()
	if ops < 12 {
		t.Fatalf("creating a log takes %d operations only", ops)
	}
	made, refused, another := 0, 0, 0
	for n := 1; n <= ops+1; n++ {
		for seed := range uint64(20) {
			fs := persistencetest.New(seed)
			fs.Inject(persistencetest.Fault{At: n, Err: syscall.EIO, Sticky: true})
			err := createRestored(fs)
			if seed%2 == 0 {
				fs = fs.Kill()
			}
			fs = fs.PowerLoss(seed)
			cfg := testConfig(fs)
			l, openErr := eventlog.Open(cfg)
			var corrupt *eventlog.CorruptError
			switch {
			case openErr != nil && !errors.As(openErr, &corrupt):
				t.Fatalf("operation %d, seed %d: %v", n, seed, openErr)
			case openErr != nil:
				refused++
				if err == nil {
					t.Errorf("operation %d, seed %d: created, but %v", n, seed, openErr)
				}
				continue
			case l.Identity().ID == restored.ID:
				made++
				if err := checkRestored(l); err != nil {
					t.Errorf("operation %d, seed %d: %v", n, seed, err)
				}
			default:
				another++
				if err == nil {
					t.Errorf("operation %d, seed %d: created, but another log is there", n, seed)
				}
			}
			mustClose(t, l)
		}
	}
	if made == 0 || refused == 0 || another == 0 {
		t.Errorf("%d made, %d refused, %d another log: want some of each", made, refused, another)
	}
}

func TestALaterFormatIsRefusedByName(t *testing.T) {
	fs := persistencetest.New(1)
	mustClose(t, mustOpen(t, testConfig(fs)))
	b := fs.ReadFile("/log/" + eventlog.IdentityFile)
	b[8] = 2
	fs.WriteFile("/log/"+eventlog.IdentityFile, b)
	_, openErr := eventlog.Open(testConfig(fs))
	_, verifyErr := eventlog.Verify(fs, "/log")
	_, readErr := eventlog.ReadIdentity(fs, "/log/"+eventlog.IdentityFile)
	for what, err := range map[string]error{"open": openErr, "verify": verifyErr, "read": readErr} {
		var version *eventlog.VersionError
		if !errors.As(err, &version) || version.Version != 2 || !strings.Contains(err.Error(), "log.meta is of format version 2") || strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
