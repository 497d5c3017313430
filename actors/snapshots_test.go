package actors

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// keeping is a rig's configuration with snapshots in memory that nobody takes
// but the test.
func keeping(m *actorstest.MemSnapshots) func(*Config) {
	return func(c *Config) {
		c.Snapshots = m
		c.SnapshotPolicy = SnapshotPolicy{Lag: 1 << 60, Every: time.Hour}
	}
}

// sendRandom sends n requests, half of their events with ids out of few, and
// returns where they end.
func sendRandom(r *rig, rng *rand.Rand, n int) (pos messages.Position) {
	r.t.Helper()
	for range n {
		r.now.Add(int64(rng.IntN(int(3 * messages.Second))))
		var records []messages.Record
		for range 1 + rng.IntN(40) {
			e := randomRecord(rng, messages.Micros(r.now.Load())-messages.Minute)
			if rng.IntN(2) == 0 {
				e.ID = fmt.Append(nil, rng.IntN(2000))
			}
			records = append(records, e)
		}
		pos = r.send(records...)
	}
	return pos
}

// tells is all that an engine says once it has counted everything.
func tells(t *testing.T, r *rig) string {
	t.Helper()
	ends := make(messages.Position, r.id.Partitions)
	r.log.Ends(ends)
	if err := r.Await(r.ctx(), ends); err != nil {
		t.Fatal(err)
	}
	ledger, _ := r.Ledger(r.ctx())
	said := fmt.Sprintf("%+v\n", ledger)
	for _, w := range messages.StandardWindows {
		for _, cell := range []messages.Cell{{}, {Category: "c1"}, {Region: "r2"}, {Category: "c0", Region: "r1"}} {
			b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: w, Cell: cell, K: 50, After: ends})
			if err != nil {
				t.Fatal(err)
			}
			said += fmt.Sprintf("%v %+v %v %v %v\n", w, cell, b.Total, b.Certified, b.Rows)
		}
	}
	return said
}

// TestARestartFromASnapshotForgetsAndDoublesNothing: an engine that begins at
// any snapshot of another one, with what came later in the log, says the same
// as that one, and as one that has read all of the log: counts, digests, and
// which ids were there before.
func TestARestartFromASnapshotForgetsAndDoublesNothing(t *testing.T) {
	for _, clock := range []messages.Clock{messages.ClockWall, messages.ClockEvent} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%v/%d", clock, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 9))
				kept := new(actorstest.MemSnapshots)
				r := newRig(t, clock, keeping(kept))
				const snapshots = 5
				for range snapshots {
					sendRandom(r, rng, 1+rng.IntN(40))
					if _, err := r.Snapshot(r.ctx()); err != nil {
						t.Fatal(err)
					}
				}
				sendRandom(r, rng, rng.IntN(40))
				want := tells(t, r)
				r.Engine.Close()
				for left := snapshots; left >= 0; left-- {
					for p := range messages.Partition(r.id.Partitions) {
						kept.Keep(p, min(left, len(kept.Offsets(p))))
					}
					r.start(keeping(kept))
					if got := tells(t, r); got != want {
						t.Fatalf("with %d snapshots:\n%s\nwant:\n%s", left, got, want)
					}
					r.Engine.Close()
				}
			})
		}
	}
}

// TestASnapshotIsOfOneRecord: taken while events come in, of each partition at
// whatever moment, snapshots have the ingest actor's and the shard's state as of
// the same record.
func TestASnapshotIsOfOneRecord(t *testing.T) {
	kept := new(actorstest.MemSnapshots)
	r := newRig(t, messages.ClockWall, keeping(kept))
	rng := rand.New(rand.NewPCG(1, 1))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := r.Snapshot(context.Background()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	many := func() bool { // the smallest partitions have nothing
		for p := range messages.Partition(r.id.Partitions) {
			if n := len(kept.Offsets(p)); n > 0 && n < 4 {
				return false
			}
		}
		return len(kept.Offsets(0)) > 0
	}
	for sent := 0; sent < 400 || !many(); sent += 10 {
		sendRandom(r, rng, 10)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := tells(t, r)
	r.Engine.Close()
	for p := range messages.Partition(r.id.Partitions) {
		if n := len(kept.Offsets(p)); n > 0 {
			kept.Keep(p, 1+rng.IntN(n))
		}
	}
	r.start(keeping(kept))
	if got := tells(t, r); got != want {
		t.Errorf("after a restart:\n%s\nwant:\n%s", got, want)
	}
}

// gatedCore counts when its gate lets it.
type gatedCore struct {
	*window.Table
	entered chan struct{} // a value for each delta that waits
	gate    chan struct{} // a value, or its closing, lets one on
}

func (c *gatedCore) Apply(d *window.Delta) {
	c.entered <- struct{}{}
	<-c.gate
	c.Table.Apply(d)
}

// followedLog tells where it is read.
type followedLog struct {
	*actorstest.MemLog
	reads chan messages.Offset
}

func (l *followedLog) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	l.reads <- from
	return l.MemLog.Read(ctx, p, from, b)
}

// TestASnapshotIsOfTheDeltaItTravelsWith: what the ingest actor takes between
// being asked for a snapshot and handing its delta over is in the snapshot, in
// its state and in the shard's.
func TestASnapshotIsOfTheDeltaItTravelsWith(t *testing.T) {
	kept := new(actorstest.MemSnapshots)
	core := &gatedCore{entered: make(chan struct{}, 100), gate: make(chan struct{})}
	log := &followedLog{reads: make(chan messages.Offset, 1000)}
	r := newRig(t, messages.ClockWall, keeping(kept))
	r.Engine.Close()
	r.id.Partitions = 1
	r.routes, r.log = messages.NewRoutes(r.id), actorstest.NewMemLog(r.id)
	log.MemLog = r.log
	withLog := func(c *Config) {
		keeping(kept)(c)
		c.Log = log
	}
	r.start(func(c *Config) {
		withLog(c)
		c.NewCore = func() Core {
			h := newHashes(r.id)
			core.Table = window.New(window.Config{Hash: h.topic})
			return core
		}
	})
	withID := func(id string) messages.Record {
		e := event("t"+id, "c", "r", 1)
		e.ID = []byte(id)
		return e
	}
	// read waits until everything so far has been handed to the ingest actor.
	read := func(pos messages.Position) {
		for from := range log.reads {
			if from >= pos[0] {
				return
			}
		}
	}
	read(r.send(withID("1")))
	<-core.entered // the first delta is at the shard
	read(r.send(withID("2")))
	c := newCut()
	r.Engine.system.tell(r.Engine.ingests[0], c)
	read(r.send(withID("3")))
	close(core.gate)
	<-c.frozen
	if c.info.Offset != 3 || c.ingest.next != 3 {
		t.Errorf("the snapshot is of offset %d, the ingest actor's part of %d, want 3", c.info.Offset, c.ingest.next)
	}
	if err := kept.Save(t.Context(), c.info, c.save); err != nil {
		t.Fatal(err)
	}
	r.Engine.Close()
	r.start(withLog)
	r.send(withID("1"), withID("2"), withID("3"), withID("4"))
	tells(t, r)
	if l, _ := r.Ledger(r.ctx()); l[0].Counted != 4 || l[0].Duplicates != 3 {
		t.Errorf("ledger %+v", l[0])
	}
	counts, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{"t1", "t2", "t3", "t4"}, Window: messages.WindowAll})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range counts.Counts {
		if n != messages.ExactCount(1) {
			t.Errorf("t%d was counted once, but has %+v", i+1, n)
		}
	}
}

// TestASnapshotAheadOfTheLogIsRefused, rather than an older one read: what is
// missing was acknowledged.
func TestASnapshotAheadOfTheLogIsRefused(t *testing.T) {
	kept := new(actorstest.MemSnapshots)
	r := newRig(t, messages.ClockWall, keeping(kept))
	rng := rand.New(rand.NewPCG(2, 2))
	for range 2 {
		sendRandom(r, rng, 20)
		if _, err := r.Snapshot(r.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	cfg := DefaultConfig()
	keeping(kept)(&cfg)
	cfg.Log, cfg.Identity, cfg.Now = actorstest.NewMemLog(r.id), *r.id, func() messages.Micros { return 0 }
	e, err := New(cfg)
	if err == nil {
		e.Close()
		t.Fatal("a log that ends before its snapshot is taken")
	}
	if !strings.Contains(err.Error(), "has lost events") {
		t.Errorf("the refusal says %q", err)
	}
}

// TestSnapshotsAreTakenByThePolicy: by how much has come, by time, and not at
// all while there is nothing new; quiet partitions move on.
func TestSnapshotsAreTakenByThePolicy(t *testing.T) {
	kept := new(actorstest.MemSnapshots)
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.Snapshots = kept
		c.SnapshotPolicy = SnapshotPolicy{Lag: 100, Every: time.Hour}
	})
	rng := rand.New(rand.NewPCG(3, 3))
	sendRandom(r, rng, 40)
	eventually(t, "few entries are without a snapshot", func() bool {
		s, err := r.Status(r.ctx())
		return err == nil && s.Snapshots.Taken > 0 && s.Snapshots.Uncovered < 100
	})
	r.Engine.Close()
	r.start(keeping(kept))
	for range 2 {
		sendRandom(r, rng, 20)
		if _, err := r.Snapshot(r.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	sendRandom(r, rng, 5)
	r.Engine.Close()
	// By time: the rest, too, and older snapshots go.
	r.start(func(c *Config) {
		c.Snapshots = kept
		c.SnapshotPolicy = SnapshotPolicy{Lag: 1 << 60, Every: time.Millisecond}
	})
	eventually(t, "everything has a snapshot and nothing else is kept", func() bool {
		s, err := r.Status(r.ctx())
		alone := true
		for p := range messages.Partition(r.id.Partitions) {
			alone = alone && len(kept.Offsets(p)) <= 1
		}
		return err == nil && s.Snapshots.Uncovered == 0 && alone
	})
	before, _ := r.Status(r.ctx())
	if taken, err := r.Snapshot(r.ctx()); err != nil || len(taken) != 0 {
		t.Errorf("nothing is new, but %+v, %v", taken, err)
	}
	if after, _ := r.Status(r.ctx()); after.Snapshots.Taken != before.Snapshots.Taken {
		t.Error("snapshots of nothing new are taken")
	}
}

// TestAFailedSnapshotIsTriedAgain, is told, and loses nothing; one that is
// fenced stops its partition.
func TestAFailedSnapshotIsTriedAgain(t *testing.T) {
	broken := errors.New("the store is broken")
	var fails atomic.Pointer[error] // what failed is tried again by itself, too
	fails.Store(&broken)
	kept := &actorstest.MemSnapshots{Before: func(messages.SnapshotInfo) error {
		if err := fails.Load(); err != nil {
			return *err
		}
		return nil
	}}
	r := newRig(t, messages.ClockWall, keeping(kept))
	rng := rand.New(rand.NewPCG(4, 4))
	sendRandom(r, rng, 20)
	if _, err := r.Snapshot(r.ctx()); !errors.Is(err, broken) {
		t.Fatalf("want the store's error, got %v", err)
	}
	s, err := r.Status(r.ctx())
	if err != nil || s.Snapshots.Failed == 0 || !strings.Contains(s.Snapshots.LastError, "the store is broken") {
		t.Errorf("status %+v, %v", s.Snapshots, err)
	}
	sendRandom(r, rng, 20)
	fails.Store(nil)
	if _, err := r.Snapshot(r.ctx()); err != nil {
		t.Errorf("tried again: %v", err)
	}
	if s, err := r.Status(r.ctx()); err != nil || s.Snapshots.Taken == 0 || s.Snapshots.Uncovered != 0 || s.Snapshots.LastError != "" {
		t.Errorf("status %+v, %v", s.Snapshots, err)
	}
	want := tells(t, r)
	r.Engine.Close()
	r.start(keeping(kept))
	if got := tells(t, r); got != want {
		t.Errorf("after a restart:\n%s\nwant:\n%s", got, want)
	}
	sendRandom(r, rng, 1)
	fenced := messages.ErrFenced
	fails.Store(&fenced)
	if _, err := r.Snapshot(r.ctx()); !errors.Is(err, messages.ErrFenced) {
		t.Fatalf("want fenced, got %v", err)
	}
	if err := r.Ready(); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("a fenced engine says %v", err)
	}
}

// TestAPartitionThatFailedHasItsTurnAgain, though others are due all the time.
func TestAPartitionThatFailedHasItsTurnAgain(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	kept := &actorstest.MemSnapshots{Before: func(i messages.SnapshotInfo) error {
		if i.Partition == 0 && broken.Load() {
			return errors.New("its run of ids is damaged")
		}
		return nil
	}}
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.Snapshots, c.SnapshotPolicy = kept, SnapshotPolicy{Lag: 1, Every: time.Hour}
	})
	rng := rand.New(rand.NewPCG(7, 7))
	eventually(t, "the partition fails", func() bool {
		sendRandom(r, rng, 1)
		s, err := r.Status(r.ctx())
		return err == nil && s.Snapshots.Failed > 0
	})
	broken.Store(false)
	eventually(t, "the partition is saved", func() bool {
		sendRandom(r, rng, 1)
		return len(kept.Offsets(0)) > 0
	})
}

// TestAPartitionThatCannotBeSavedKeepsNoOther from being: what is wrong may be its
// own.
func TestAPartitionThatCannotBeSavedKeepsNoOther(t *testing.T) {
	for _, policy := range []SnapshotPolicy{{Lag: 1 << 60, Every: time.Millisecond}, {Lag: 1, Every: time.Hour}} {
		broken := errors.New("its run of ids is damaged")
		kept := &actorstest.MemSnapshots{Before: func(i messages.SnapshotInfo) error {
			if i.Partition == 0 {
				return broken
			}
			return nil
		}}
		r := newRig(t, messages.ClockWall, keeping(kept))
		sendRandom(r, rand.New(rand.NewPCG(5, 5)), 40)
		tells(t, r) // once all is counted
		applied := make(messages.Position, r.id.Partitions)
		r.Applied(applied)
		r.Engine.Close()
		r.start(func(c *Config) { c.Snapshots, c.SnapshotPolicy = kept, policy })
		others := 0
		for p, at := range applied[1:] {
			if at == 0 {
				continue
			}
			others++
			eventually(t, "the others are saved", func() bool {
				offsets := kept.Offsets(messages.Partition(p + 1))
				return len(offsets) > 0 && offsets[len(offsets)-1] == at
			})
		}
		// Others are saved behind the failure, and it is told all the same.
		sendRandom(r, rand.New(rand.NewPCG(6, 6)), 5)
		want := tells(t, r)
		if _, err := r.Snapshot(r.ctx()); !errors.Is(err, broken) {
			t.Errorf("a snapshot of all: %v", err)
		}
		if st, _ := r.Status(r.ctx()); !strings.Contains(st.Snapshots.LastError, broken.Error()) {
			t.Errorf("while one partition cannot be saved the status says %+v", st.Snapshots)
		}
		if others == 0 || applied[0] == 0 {
			t.Fatalf("the test tests nothing: %v", applied)
		}
		if got := tells(t, r); got != want {
			t.Errorf("afterwards:\n%s\nwant:\n%s", got, want)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to be that %s", what)
		}
	}
}

// FuzzIngestPart: what is not an ingest's state is an error, and what is comes
// back as it was.
func FuzzIngestPart(f *testing.F) {
	id := testIdentity(messages.ClockWall)
	rng := rand.New(rand.NewPCG(6, 6))
	g, d := newIngest(id), new(window.Delta)
	f.Add(g.freeze().encode())
	for _, b := range randomLog(rng, 30) {
		if err := g.take(&b, d); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(g.freeze().encode())
	g = newIngest(id)
	for _, b := range randomBlocks(rng, 30) {
		if err := g.take(&b, d); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(g.freeze().encode())
	if before, err := os.ReadFile("testdata/ingest-v1"); err == nil {
		f.Add(before)
	}
	f.Fuzz(func(t *testing.T, part []byte) {
		g := newIngest(id)
		if err := g.decode(&decoder{r: bufio.NewReader(bytes.NewReader(part))}); err != nil {
			return
		}
		again := newIngest(id)
		if err := again.decode(&decoder{r: bufio.NewReader(bytes.NewReader(g.freeze().encode()))}); err != nil {
			t.Fatalf("what was saved cannot be loaded: %v", err)
		}
		if !bytes.Equal(again.freeze().encode(), g.freeze().encode()) {
			t.Error("a state changes when it is saved and loaded")
		}
	})
}
