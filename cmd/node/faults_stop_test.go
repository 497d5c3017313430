package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hanging is a rule under which operations on paths with a part wait until let
// is called, and then go through. reached is closed at the first.
func hanging(ops, part string) (rule func(op, path string) error, reached chan struct{}, let func()) {
	is := failing(syscall.EIO, ops, part)
	reached, held := make(chan struct{}), make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	rule = func(op, path string) error {
		if is(op, path) == nil {
			return nil
		}
		select {
		case <-first:
			close(reached)
		default:
		}
		<-held
		return nil
	}
	return rule, reached, func() { close(held) }
}

// TestAStopAtAnyMomentLosesNothing stops nodes at random moments of random
// work: starts, events, snapshots.
func TestAStopAtAnyMomentLosesNothing(t *testing.T) {
	const seed = 6
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg, _, _ := faulty(t, 0)
	cfg.LogRetention = 0
	cfg.SnapshotPolicy.Lag = 20
	ground := Ground{Log: smallSegments}
	total, sure := 0, 0
	for life := range 15 {
		n, err := newNode(context.Background(), cfg, ground)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		after := time.Duration(rng.IntN(60)) * time.Millisecond
		stopSoon := sync.OnceFunc(func() { time.AfterFunc(after, cancel) })
		if life%3 > 0 { // the others acknowledge something before, however slow they are
			stopSoon()
		}
		r := &running{Node: n, Client: newClient(t, n.Addr())}
		for len(ended) == 0 { // until the stop
			_, err := r.Ingest(ctx, idBatch(total, 5))
			if ctx.Err() != nil {
				break
			}
			if err == nil {
				total += 5
				sure = total
				stopSoon()
			}
		}
		r.Client.Close()
		began := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("seed %d, life %d: stopped after %v: %v", seed, life, after, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("seed %d, life %d: the stop took %v", seed, life, took)
		}
		cancel()
		// What was cut off may be there: it is sent again under its ids.
	}
	n := runOn(t, cfg, ground)
	if _, err := n.Ingest(t.Context(), idBatch(total, 5)); err != nil {
		t.Fatal(err)
	}
	await(t, "all counted", func() bool {
		st, err := n.Status(t.Context())
		return err == nil && st.LagRecords == 0
	})
	if got := n.count(t, "t", ""); got != uint64(total+5) || sure == 0 {
		t.Errorf("seed %d: %d counted, want %d", seed, got, total+5)
	}
}

// TestAStopDoesNotWaitForAStoreThatHangs hangs the store of snapshots in every
// kind of operation, before or at the stop; the node stops in good order within
// its time, and nothing is lost.
func TestAStopDoesNotWaitForAStoreThatHangs(t *testing.T) {
	for _, ops := range []string{"create", "write", "sync", "rename", "syncdir", "lock"} {
		for _, busy := range []bool{false, true} { // a snapshot is under way when the stop comes
			t.Run(ops+map[bool]string{true: " under way"}[busy], func(t *testing.T) {
				t.Parallel()
				cfg, disk, log := faulty(t, 0)
				cfg.StopTimeout = time.Second // the snapshots get as far as to what hangs
				s := &tries{running: run(t, cfg)}
				for range 20 {
					if err := s.one(t); err != nil {
						t.Fatal(err)
					}
				}
				rule, reached, let := hanging(ops, filepath.Join(cfg.Data, "store"))
				disk.obey(rule)
				asked := make(chan error, 1)
				if busy {
					go func() {
						_, err := s.core.engine.Snapshot(context.Background())
						asked <- err
					}()
					<-reached
				} else {
					asked <- nil
				}
				began := time.Now()
				if err := s.stop(); err != nil {
					t.Errorf("stop: %v", err)
				}
				took := time.Since(began)
				if most := cfg.StopTimeout + 2*logTimeout + 20*time.Second; took > most {
					t.Errorf("the stop took %v, want at most %v", took, most)
				}
				if busy {
					log.want(t, 1, "the snapshots at the stop failed")
				} else if len(log.lines("the snapshots at the stop failed")) == 0 { // they had no time to get as far as to what hangs
					log.want(t, 1, "the node stops before its last snapshots are done: the store or a disk hangs")
				}
				// The process would be over now. Here what hangs is let go, so that it
				// ends before the test does; it must do no harm.
				disk.obey(nil)
				let()
				<-asked
				<-s.gone
				s.running = run(t, cfg)
				s.settle(t)
			})
		}
	}
}

// TestAStopDoesNotWaitForALogThatHangs hangs the log's own files at the stop.
func TestAStopDoesNotWaitForALogThatHangs(t *testing.T) {
	cfg, disk, log := faulty(t, 0)
	cfg.StopTimeout = 100 * time.Millisecond
	s := &tries{running: run(t, cfg)}
	if err := s.one(t); err != nil {
		t.Fatal(err)
	}
	rule, reached, let := hanging("sync", filepath.Join(cfg.Data, "log"))
	disk.obey(rule)
	<-reached // the durable length is synced each second
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > cfg.StopTimeout+2*logTimeout+20*time.Second {
		t.Errorf("the stop took %v", took)
	}
	log.want(t, 1, "the store or a disk hangs")
	disk.obey(nil)
	let()
	<-s.gone
	s.running = run(t, cfg)
	s.settle(t)
}

// TestAStopWhileTheSnapshotsAreLoaded hangs the store while the node starts.
func TestAStopWhileTheSnapshotsAreLoaded(t *testing.T) {
	cfg, disk, log := faulty(t, 0)
	s := &tries{running: run(t, cfg)}
	if err := s.one(t); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err) // it had the time for its snapshots, or there is nothing to load
	}
	cfg.StopTimeout = 100 * time.Millisecond
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	rule, reached, let := hanging("read", filepath.Join(cfg.Data, "store"))
	disk.obey(rule)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	<-reached
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	case <-time.After(testTimeout):
		t.Fatal("the stop waits for a store that hangs")
	}
	log.want(t, 1, "the node stops while it loads its snapshots")
	disk.obey(nil)
	let()
	<-n.gone
	s.running = run(t, cfg)
	s.settle(t)
}

// TestTheDataFolderCannotBeWritten starts nodes on folders that refuse: each is
// told so with what to do.
func TestTheDataFolderCannotBeWritten(t *testing.T) {
	for _, made := range []bool{false, true} { // a folder from before
		for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
			cfg, disk, _ := faulty(t, 0)
			if made {
				if err := run(t, cfg).stop(); err != nil {
					t.Fatal(err)
				}
			}
			disk.obey(failing(cause, "mkdir create open lock write sync rename remove syncdir", cfg.Data))
			_, err := New(cfg)
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), "crest has to write in its data folder "+cfg.Data) {
				t.Errorf("made before: %t, %v: %v", made, cause, err)
			}
		}
	}
}

// TestASecondNodeLeavesTheFirstAlone starts a second node in a folder: it names
// the first, takes nothing over, and the first goes on.
func TestASecondNodeLeavesTheFirstAlone(t *testing.T) {
	cfg, _, _ := faulty(t, 0)
	s := &tries{running: run(t, cfg)}
	for range 3 {
		if err := s.one(t); err != nil {
			t.Fatal(err)
		}
		_, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), filepath.Join(cfg.Data, "log")+" is in use by process ") {
			t.Errorf("second node: %v", err)
		}
		if _, err := s.core.engine.Snapshot(t.Context()); err != nil {
			t.Errorf("the first cannot snapshot any more: %v", err)
		}
	}
}

// TestConnectionsLeaveTheNodeItsFiles checks the bound.
func TestConnectionsLeaveTheNodeItsFiles(t *testing.T) {
	for _, c := range []struct{ open, partitions, want int }{
		{1 << 20, 16, 8192}, {1024, 16, 1024 - 128 - 256}, {400, 16, 16}, {399, 16, 0}, {64, 1, 0},
	} {
		got, err := connections(8192, c.open, c.partitions)
		if got != c.want || (err == nil) != (c.want > 0) || err != nil && !strings.Contains(err.Error(), "ulimit -n") {
			t.Errorf("%d files, %d partitions: %d, %v; want %d", c.open, c.partitions, got, err, c.want)
		}
	}
	if openFiles() < 64 {
		t.Errorf("%d files may be open", openFiles())
	}
}
