package eventlog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// TestOlderIsWhatHasNothingOfAMomentOn compares Older with every frame of the
// log, before and after a restart, for every stamp there is.
func TestOlderIsWhatHasNothingOfAMomentOn(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := persistencetest.New(seed)
	cfg := testConfig(fs)
	cfg.SegmentBytes = 4 << 10
	l := mustOpen(t, cfg)
	stamp := messages.Micros(1000)
	for n := 0; l.Stats().Segments < 8; n++ {
		f := testFrame(n, 300, messages.Partition(rng.IntN(testPartitions)))
		// Stamps of concurrent requests come in any order within a little while.
		stamp += messages.Micros(rng.IntN(3))
		f.Stamp = stamp + messages.Micros(rng.IntN(4))
		mustAppend(t, l, f)
	}
	for range 2 {
		got := make(messages.Position, testPartitions)
		moved := 0
		for than := messages.Micros(990); than < stamp+10; than++ {
			before := slices.Clone(got)
			l.Older(than, got)
			if !slices.Equal(before, got) {
				moved++
			}
			want := olderByFrames(t, fs, cfg.Dir, than)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d: older than %d: %v, want %v", seed, than, got, want)
			}
		}
		if moved != 7 {
			t.Errorf("seed %d: %d different answers over 8 segments", seed, moved)
		}
		mustClose(t, l)
		l = mustOpen(t, cfg)
	}
	// What Older allows Trim takes, and Begins tells.
	older, begins := make(messages.Position, testPartitions), make(messages.Position, testPartitions)
	l.Older(stamp-20, older)
	l.Begins(begins)
	if !slices.Equal(begins, make(messages.Position, testPartitions)) {
		t.Errorf("a whole log begins at %v", begins)
	}
	if err := l.Trim(older); err != nil {
		t.Fatal(err)
	}
	l.Begins(begins)
	if !slices.Equal(begins, older) || begins[0] == 0 {
		t.Errorf("trimmed to %v, it begins at %v", older, begins)
	}
	mustClose(t, l)
}

// olderByFrames is the obvious way: the end of the last segment before the
// first one with a frame that is stamped at or after the moment.
func olderByFrames(t *testing.T, fs *persistencetest.FS, dir string, than messages.Micros) messages.Position {
	t.Helper()
	r, err := eventlog.Verify(fs, dir)
	if err != nil {
		t.Fatal(err)
	}
	firstNew := r.Segments[len(r.Segments)-1].File // the last one stays
	err = eventlog.Scan(fs, dir, func(f eventlog.FrameInfo) error {
		if f.Stamp >= than {
			firstNew = min(firstNew, f.File)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Segments {
		if s.File == firstNew {
			return s.Base
		}
	}
	t.Fatalf("no segment %s", firstNew)
	return nil
}
