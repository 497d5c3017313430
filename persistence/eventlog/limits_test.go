package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func TestTheFloorOfFreeSpaceStopsAndReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(persistencetest.New(1))
		var free atomic.Int64
		free.Store(math.MaxInt64)
		cfg.FreeSpace = func(string) (int64, error) { return free.Load(), nil }
		l := mustOpen(t, cfg)
		defer mustClose(t, l)
		mustAppend(t, l, testFrame(1, 1, 0))

		free.Store(cfg.MinFree - 1)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		err := l.Append(t.Context(), testFrame(2, 1, 0), make(messages.Position, testPartitions))
		if !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "free space") || l.Err() == nil {
			t.Fatal(err)
		}
		if n := len(readAll(t, l, 0)); n != 1 {
			t.Fatalf("%d frames can be read", n)
		}

		free.Store(cfg.MinFree)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		mustAppend(t, l, testFrame(3, 1, 0))
	})
}

// A burst may fill the disk within the second between two looks.
func TestTheFloorOfFreeSpaceIsNoticedByBytesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(persistencetest.New(1))
		var free atomic.Int64
		free.Store(cfg.MinFree)
		cfg.FreeSpace = func(string) (int64, error) { return free.Load(), nil }
		l := mustOpen(t, cfg)
		defer mustClose(t, l)
		free.Store(0)
		for n := range 4 {
			if err := l.Err(); err != nil {
				t.Fatalf("stopped before frame %d: %v", n, err)
			}
			mustAppend(t, l, testFrame(n, 16<<20, 0))
		}
		if err := l.Err(); !errors.Is(err, messages.ErrStopped) {
			t.Fatal(err)
		}
	})
}

// gatedSync makes each Sync of a log's disk wait for a value on the channel.
func gatedSync(fs *persistencetest.FS) chan<- struct{} {
	gate := make(chan struct{})
	fs.SyncDelay = func() time.Duration { <-gate; return 0 }
	return gate
}

func TestAFullGroupMakesAppendWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		cfg := testConfig(fs)
		cfg.GroupBytes = 4 << 10
		cfg.SegmentBytes = 1 << 20
		l := mustOpen(t, cfg)
		gate := gatedSync(fs)

		results := make([]chan error, 4)
		ctxs, cancels := make([]context.Context, 4), make([]context.CancelFunc, 4)
		for i := range results {
			results[i] = make(chan error, 1)
			ctxs[i], cancels[i] = context.WithCancel(t.Context())
			go func() {
				results[i] <- l.Append(ctxs[i], testFrame(i, 3000, 0), make(messages.Position, testPartitions))
			}()
			synctest.Wait()
		}
		// 0 is being synced, 1 is pending, 2 and 3 wait for room.
		if got := l.Stats().PendingBytes; got < 2*3000 || got > 2*3200 {
			t.Errorf("%d bytes pending", got)
		}
		if err := l.Append(canceled(t), testFrame(9, 1, 0), make(messages.Position, testPartitions)); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not in the log") {
			t.Errorf("context ended before: %v", err)
		}
		cancels[3]()
		if err := <-results[3]; !errors.Is(err, context.Canceled) || !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "not in the log") {
			t.Errorf("waiting for room: %v", err)
		}
		cancels[1]()
		if err := <-results[1]; !errors.Is(err, context.Canceled) || !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "may come to be") {
			t.Errorf("pending: %v", err)
		}
		for range 3 {
			gate <- struct{}{}
			synctest.Wait()
		}
		for _, i := range []int{0, 2} {
			if err := <-results[i]; err != nil {
				t.Errorf("append %d: %v", i, err)
			}
		}
		if n := len(readAll(t, l, 0)); n != 3 { // 0, 1 (given up but written), 2
			t.Errorf("%d frames", n)
		}
		for _, cancel := range cancels {
			cancel()
		}
		close(gate)
		mustClose(t, l)
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestAGroupIsOneWriteAndOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		l := mustOpen(t, testConfig(fs))
		gate := gatedSync(fs)
		const n = 10
		results := make(chan error, n)
		for i := range n {
			go func() {
				results <- l.Append(t.Context(), testFrame(i, 10, 0), make(messages.Position, testPartitions))
			}()
			synctest.Wait()
		}
		before := fs.Ops()
		gate <- struct{}{}
		gate <- struct{}{}
		for range n {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		// The first frame's sync and mark; write, sync and mark of the others.
		if s := l.Stats(); fs.Ops()-before != 5 || s.Groups != 2 || s.Frames != n || s.PendingBytes != 0 {
			t.Errorf("%d operations, %+v", fs.Ops()-before, s)
		}
		close(gate)
		mustClose(t, l)
	})
}

func TestNothingCanBeReadBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		l := mustOpen(t, testConfig(fs))
		gate := gatedSync(fs)
		appended := make(chan error, 1)
		go func() {
			appended <- l.Append(t.Context(), testFrame(1, 10, 0), make(messages.Position, testPartitions))
		}()
		read := make(chan error, 1)
		var b messages.Batch
		go func() { read <- l.Read(t.Context(), 0, 0, &b) }()
		synctest.Wait()
		ends := make(messages.Position, testPartitions)
		l.Ends(ends)
		select {
		case <-appended:
			t.Error("acknowledged before it was durable")
		case <-read:
			t.Error("read before it was durable")
		default:
		}
		if ends[0] != 0 || l.LastStamp() != 0 {
			t.Errorf("ends %v, last stamp %d", ends, l.LastStamp())
		}
		gate <- struct{}{}
		if err := errors.Join(<-appended, <-read); err != nil || len(b.Blocks) != 1 {
			t.Error(err, b)
		}
		close(gate)
		mustClose(t, l)
	})
}

func TestClosingMakesWaitingFramesDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		l := mustOpen(t, testConfig(fs))
		gate := gatedSync(fs)
		const n = 5
		results := make(chan error, n)
		for i := range n {
			go func() {
				results <- l.Append(t.Context(), testFrame(i, 10, 0), make(messages.Position, testPartitions))
			}()
			synctest.Wait()
		}
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		close(gate)
		for range n {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		l = mustOpen(t, testConfig(fs.PowerLoss(1)))
		if got := len(readAll(t, l, 0)); got != n {
			t.Errorf("%d frames", got)
		}
		mustClose(t, l)
	})
}

func TestASecondProcessIsKeptOut(t *testing.T) {
	cfg := testConfig(nil)
	cfg.FS, cfg.Dir = persistence.OS{}, t.TempDir()+"/a/b"
	l := mustOpen(t, cfg)
	_, err := eventlog.Open(cfg)
	if err == nil || !strings.Contains(err.Error(), cfg.Dir) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Fatalf("second open: %v", err)
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, cfg))
	mustClose(t, l) // again: does nothing
	if err := l.Trim(make(messages.Position, testPartitions)); !errors.Is(err, messages.ErrStopped) {
		t.Fatalf("trim of a closed log: %v", err)
	}
}

func TestTheIdentityIsTheLogsAndStays(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	key := [32]byte{1, 2, 3}
	cfg.HashKey, cfg.Clock = &key, messages.ClockEvent
	cfg.Settings = messages.DefaultSettings()
	cfg.Settings.MaxRegions = 77
	l := mustOpen(t, cfg)
	id := l.Identity()
	mustClose(t, l)
	if id.HashKey != key || id.Clock != messages.ClockEvent || id.Partitions != testPartitions || id.Settings != cfg.Settings || id.ID == (messages.LogID{}) {
		t.Fatalf("%+v", id)
	}
	open := testConfig(fs)
	open.Partitions = 0
	l = mustOpen(t, open)
	if l.Identity() != id {
		t.Fatalf("%+v, want %+v", l.Identity(), id)
	}
	mustClose(t, l)
	for want, change := range map[string]func(*eventlog.Config){
		"partitions": func(c *eventlog.Config) { c.Partitions = 5 },
		"clock":      func(c *eventlog.Config) { c.Clock = messages.ClockWall },
		"hash key":   func(c *eventlog.Config) { c.HashKey = new([32]byte) },
	} {
		cfg := open
		change(&cfg)
		if _, err := eventlog.Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for field, change := range map[string]func(*eventlog.Config){
		"Dir":          func(c *eventlog.Config) { c.Dir = "" },
		"Partitions":   func(c *eventlog.Config) { c.Partitions = messages.MaxPartitions + 1 },
		"Clock":        func(c *eventlog.Config) { c.Clock = 3 },
		"SegmentBytes": func(c *eventlog.Config) { c.SegmentBytes = 1 },
		"GroupBytes":   func(c *eventlog.Config) { c.GroupBytes = 1 },
		"TailBytes":    func(c *eventlog.Config) { c.TailBytes = -1 },
		"CacheBytes":   func(c *eventlog.Config) { c.CacheBytes = -1 },
		"MinFree":      func(c *eventlog.Config) { c.MinFree = -1 },
		"Settings":     func(c *eventlog.Config) { c.Settings.MaxAhead = time.Second },
	} {
		cfg := open
		change(&cfg)
		if _, err := eventlog.Open(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestTrimRemovesWholeSegmentsBelowAPosition(t *testing.T) {
	fs := persistencetest.New(1)
	cfg, past := writtenLog(t, fs, 8)
	r, err := eventlog.Verify(fs, cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, cfg)
	if err := l.Trim(make(messages.Position, testPartitions)); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, fs)); n != len(r.Segments) {
		t.Fatalf("trimmed below nothing: %d segments left", n)
	}
	// In one partition segment 5 is still needed.
	keep := append(messages.Position(nil), r.Segments[6].Base...)
	keep[2]--
	if err := l.Trim(keep); err != nil {
		t.Fatal(err)
	}
	if files := segmentFiles(t, fs); files[0] != r.Segments[5].File {
		t.Fatalf("the first segment is %s, want %s", files[0], r.Segments[5].File)
	}
	mustClose(t, l)

	fs = fs.PowerLoss(9)
	cfg.FS = fs
	l = mustOpen(t, cfg)
	var b messages.Batch
	if err := l.Read(t.Context(), 0, 0, &b); err == nil || !strings.Contains(err.Error(), "trimmed") {
		t.Fatalf("read below the beginning: %v", err)
	}
	from := r.Segments[5].Base[0]
	if err := l.Read(t.Context(), 0, from, &b); err != nil || b.Blocks[0].Offset != from {
		t.Fatalf("read at the beginning: %+v, %v", b, err)
	}
	if err := l.Trim(r.Ends); err != nil {
		t.Fatal(err)
	}
	if files := segmentFiles(t, fs); len(files) != 1 {
		t.Fatalf("%d segments left, want the one that is written", len(files))
	}
	mustClose(t, l)

	l = mustOpen(t, cfg)
	if int(l.LastStamp()) != past.frames {
		t.Fatalf("last stamp %d, want %d", l.LastStamp(), past.frames)
	}
	if pos := mustAppend(t, l, testFrame(1, 10, 1)); pos[1] != r.Ends[1]+1 {
		t.Fatalf("appended at %d, want %d", pos[1], r.Ends[1]+1)
	}
	mustClose(t, l)
	mustVerify(t, cfg)
	// A first segment that was not given up is missed.
	first := segmentFiles(t, fs)[0]
	fs.WriteFile("/log/"+first, nil)
	if _, err := eventlog.Open(cfg); err == nil || !strings.Contains(err.Error(), first) {
		t.Fatalf("a missing segment: %v", err)
	}
}

// The largest stamp may have been in a segment that is gone.
func TestTheLastStampSurvivesATrim(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	l := mustOpen(t, cfg)
	f := testFrame(0, 10, 0)
	f.Stamp = 1_000_000
	mustAppend(t, l, f)
	for n := 1; l.Stats().Segments < 3; n++ {
		mustAppend(t, l, testFrame(n, 1000, 0))
	}
	ends := make(messages.Position, testPartitions)
	l.Ends(ends)
	if err := l.Trim(ends); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	l = mustOpen(t, cfg)
	if l.LastStamp() != 1_000_000 {
		t.Errorf("last stamp %d", l.LastStamp())
	}
	mustClose(t, l)
}

func mustVerify(t *testing.T, cfg eventlog.Config) {
	t.Helper()
	if r, err := eventlog.Verify(cfg.FS, cfg.Dir); err != nil || len(r.Damage) > 0 {
		t.Fatal(err, r)
	}
}
