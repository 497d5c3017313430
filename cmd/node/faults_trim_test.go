package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/persistencetest"
	"github.com/crestdb/crest/persistence/snapshot"
)

// trimmer drives a core without a network on a disk in memory, in virtual time,
// and knows by itself what the log must still have.
type trimmer struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *persistencetest.FS
	cfg  Config
	core *Core
	seed uint64

	kept [][]messages.Offset // by partition: of the three last snapshots
	sent []sentFrame
}

// sentFrame is where a request's block came to be, and a moment before it was
// stamped.
type sentFrame struct {
	partition messages.Partition
	offset    messages.Offset
	at        time.Time
}

func (r *trimmer) open() {
	r.t.Helper()
	core, err := OpenCore(context.Background(), r.cfg, Ground{Log: func(c *eventlog.Config) {
		c.SegmentBytes = 4 << 10
		c.FreeSpace = func(string) (int64, error) { return 1 << 50, nil }
	}})
	if err == nil {
		err = core.Start()
	}
	if err == nil {
		err = core.Engine().WaitReady(context.Background())
	}
	if err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
	r.core = core
}

func (r *trimmer) close() {
	r.t.Helper()
	r.core.Edge().Close(context.Background())
	if err := r.core.Close(); err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
}

func (r *trimmer) position() messages.Position {
	p := make(messages.Position, *r.cfg.Partitions)
	r.core.Log().Ends(p)
	return p
}

func (r *trimmer) send() {
	r.t.Helper()
	before, at := r.position(), time.Now()
	body := fmt.Sprintf(`{"topic":"t%d","region":"%s"}`+"\n", r.rng.IntN(8), strings.Repeat("r", 1+r.rng.IntN(100)))
	q := httptest.NewRequest(http.MethodPost, "/api/v1/events", strings.NewReader(body))
	q.Header.Set("Content-Type", client.NDJSON)
	w := httptest.NewRecorder()
	r.core.Edge().Handler().ServeHTTP(w, q)
	if w.Code != http.StatusOK && w.Code != http.StatusAccepted {
		r.t.Fatalf("seed %d: %d %s", r.seed, w.Code, w.Body)
	}
	for p, end := range r.position() {
		if end > before[p] {
			r.sent = append(r.sent, sentFrame{messages.Partition(p), before[p], at})
		}
	}
}

func (r *trimmer) snapshot() {
	r.t.Helper()
	taken, err := r.core.Engine().Snapshot(context.Background())
	if err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
	for _, s := range taken {
		k := append(r.kept[s.Partition], s.Offset)
		r.kept[s.Partition] = k[max(0, len(k)-3):]
	}
}

// moveOn has a partition's older snapshots go, as the engine does with a quiet
// one.
func (r *trimmer) moveOn() {
	r.t.Helper()
	p := r.rng.IntN(len(r.kept))
	k := r.kept[p]
	if len(k) == 0 {
		return
	}
	newest := k[len(k)-1]
	if err := r.core.kept.MoveOn(context.Background(), messages.Partition(p), newest); err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
	r.kept[p] = []messages.Offset{newest, newest, newest}
}

// check wants what the snapshots need, and what is younger than the retention,
// to be there; it returns where the log begins.
func (r *trimmer) check() messages.Position {
	r.t.Helper()
	begins := make(messages.Position, len(r.kept))
	r.core.Log().Begins(begins)
	for p, k := range r.kept {
		needed := messages.Offset(0)
		if len(k) == 3 {
			needed = min(k[0], k[1], k[2])
		}
		if begins[p] > needed {
			r.t.Fatalf("seed %d: partition %d begins at %d, its snapshots are at %d", r.seed, p, begins[p], k)
		}
	}
	for _, f := range r.sent {
		if time.Since(f.at) < r.cfg.LogRetention && f.offset < begins[f.partition] {
			r.t.Fatalf("seed %d: partition %d begins at %d; offset %d is %v old", r.seed, f.partition, begins[f.partition], f.offset, time.Since(f.at))
		}
	}
	return begins
}

// TestTheLogIsTrimmedBehindThreeSnapshotsAndTheRetention runs random histories,
// with restarts, and looks after each step at what is left of the log.
func TestTheLogIsTrimmedBehindThreeSnapshotsAndTheRetention(t *testing.T) {
	trimmed := 0
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			r := &trimmer{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 10)), fs: persistencetest.New(seed)}
			r.cfg = testConfig("/data")
			three := 3
			r.cfg.Partitions, r.cfg.FS, r.cfg.Reserve = &three, r.fs, 0
			r.cfg.LogRetention = time.Duration(r.rng.IntN(3)) * 2 * time.Minute // none at all, too
			r.cfg.SnapshotPolicy.Every, r.cfg.SnapshotPolicy.Lag = 1000*time.Hour, 1<<60
			r.kept = make([][]messages.Offset, three)
			r.open()
			defer func() {
				if t.Failed() { // what runs must end with the test
					r.core.Edge().Close(context.Background())
					_ = r.core.Close()
				}
			}()
			rare := 1 + 8*int(seed%2) // with few snapshots the log is long before there are three
			for range 150 {
				switch r.rng.IntN(12) {
				case 0, 1:
					if r.rng.IntN(rare) == 0 {
						r.snapshot()
					}
				case 2:
					time.Sleep(time.Duration(r.rng.IntN(int(time.Minute))))
				case 3:
					if r.rng.IntN(4) == 0 {
						r.moveOn()
					}
				case 4:
					if r.rng.IntN(4) == 0 {
						r.close()
						r.open()
					}
				default:
					for range 1 + r.rng.IntN(6) {
						r.send()
					}
				}
				r.check()
			}
			// In the end what nobody needs has to go.
			time.Sleep(r.cfg.LogRetention + time.Second)
			for range 3 {
				for range 30 {
					r.send()
				}
				r.snapshot()
				time.Sleep(r.cfg.LogRetention + time.Second)
			}
			r.send()
			r.snapshot()
			for p, begins := range r.check() {
				if begins > 0 {
					trimmed++
				}
				if len(r.kept[p]) == 0 {
					continue // nothing ever came: it holds nothing up
				}
				// Two more segments at most than what is needed.
				if old := r.kept[p][0]; begins+100 < old {
					t.Errorf("seed %d: partition %d begins at %d, its oldest snapshot is at %d", seed, p, begins, old)
				}
			}
			r.close()
		})
	}
	if trimmed < 12*2 {
		t.Errorf("only %d partitions trimmed", trimmed)
	}
}

// TestATrimmedLogIsNotCountedWithoutItsSnapshots takes snapshots away in every
// way once the log is trimmed: the start is refused, and says why. A log that is
// whole is counted again.
func TestATrimmedLogIsNotCountedWithoutItsSnapshots(t *testing.T) {
	cfg, _, _ := faulty(t, 0)
	cfg.LogRetention = 0
	ground := Ground{Log: smallSegments}
	s := &tries{running: runOn(t, cfg, ground)}
	store := filepath.Join(cfg.Data, "store")
	old := filepath.Join(t.TempDir(), "old")
	round := func() {
		t.Helper()
		for range 40 {
			if err := s.one(t); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Client.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	round()
	stopped := func() {
		t.Helper()
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	stopped()
	copyTree(t, store, old)

	// Whole: all is counted from the log.
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	s.running = runOn(t, cfg, ground)
	s.settle(t)
	for range 4 {
		round()
	}
	begins := make(messages.Position, 2)
	s.core.log.Begins(begins)
	stopped()
	p := 0
	if begins[0] < begins[1] {
		p = 1
	}
	if begins[p] == 0 {
		t.Fatalf("the log begins at %v: not trimmed", begins)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	copyTree(t, store, whole)

	refused := func(name string, want ...string) {
		t.Helper()
		n, err := newNode(context.Background(), cfg, ground)
		if err == nil {
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			err = n.Run(ctx)
		}
		if err == nil {
			t.Fatalf("%s: started", name)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the refusal lacks %q: %v", name, w, err)
			}
		}
	}
	trimmedTo := fmt.Sprintf("trimmed to offset %d", begins[p])
	for name, c := range map[string]struct {
		do   func()
		want []string
	}{
		"no snapshots at all": {func() {}, []string{"there is no snapshot", "dir:" + store, "trimmed to offset", "crest snapshot restore"}},
		"an older store": {func() { copyTree(t, old, store) }, []string{snapshot.ErrUnreadable.Error(), "it ends at offset",
			"what lies between is in neither"}},
		"one partition's snapshots are gone": {func() {
			copyTree(t, whole, store)
			gone, err := filepath.Glob(filepath.Join(store, "objects", fmt.Sprintf("*+%04d+*", p)))
			if err != nil || len(gone) < 4 {
				t.Fatal(gone, err)
			}
			for _, name := range gone {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{fmt.Sprintf("partition %d", p), "there is no snapshot", trimmedTo}},
	} {
		if err := os.RemoveAll(store); err != nil {
			t.Fatal(err)
		}
		c.do()
		refused(name, c.want...)
	}

	// The store that belongs to it: everything is there.
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	copyTree(t, whole, store)
	s.running = runOn(t, cfg, ground)
	if got := s.counted(t); got != s.next {
		t.Errorf("%d counted of %d", got, s.next)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestAnotherPartitionsOwnerDoesNotFailThisOne takes one partition over while
// the node runs: that one stops, the others go on, and the log is kept.
func TestAnotherPartitionsOwnerDoesNotFailThisOne(t *testing.T) {
	cfg, _, log := faulty(t, 0)
	cfg.LogRetention = 0
	n := runOn(t, cfg, Ground{Log: smallSegments})
	topics := map[int]string{}
	id := n.core.log.Identity()
	routes := messages.NewRoutes(&id)
	for i := 0; len(topics) < 2; i++ {
		name := fmt.Sprintf("t%d", i)
		topics[int(routes.Of([]byte(name)))] = name
	}
	send := func(p int) {
		t.Helper()
		var b strings.Builder
		for range 200 {
			fmt.Fprintf(&b, `{"topic":"%s","region":"%s"}`+"\n", topics[p], strings.Repeat("x", 100))
		}
		n.send(t, b.String(), "")
	}
	for range 4 {
		send(0)
		send(1)
		if _, err := n.core.engine.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := objectstore.Dir(nil, filepath.Join(cfg.Data, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	other, err := snapshot.New(objects, &id, snapshot.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Take(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	send(0)
	send(1)
	if _, err := n.core.engine.Snapshot(t.Context()); !errors.Is(err, messages.ErrFenced) {
		t.Errorf("snapshot of a partition that another one owns: %v", err)
	}
	var answer *client.Error
	if _, err := n.Ingest(t.Context(), idBatch(0, 1)); !errors.As(err, &answer) || answer.Status != http.StatusServiceUnavailable {
		t.Errorf("events are taken though a partition has another owner: %v", err)
	}
	st, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Partitions[0].Failed == "" || st.Partitions[1].Failed != "" {
		t.Errorf("failed: %q and %q; want the first alone", st.Partitions[0].Failed, st.Partitions[1].Failed)
	}
	log.want(t, 1, "the log could not be trimmed")
}
