package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

var (
	ctx      = context.Background()
	testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func testLog() *messages.LogIdentity {
	id := &messages.LogIdentity{
		ID: messages.LogID{0xaa, 0xbb, 15: 0xcc}, Partitions: 4, Clock: messages.ClockWall, Settings: messages.DefaultSettings(),
	}
	id.HashKey[0] = 9
	return id
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.ObjectBytes = 4 << 10
	cfg.Owner = "node-a"
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Now = func() time.Time { return testTime }
	return cfg
}

func newStore(t testing.TB, objects objectstore.Store, change ...func(*Config)) *Store {
	t.Helper()
	cfg := testConfig()
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(objects, testLog(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func take(t testing.TB, s *Store, p messages.Partition) *Partition {
	t.Helper()
	part, err := s.Take(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// blob is a part of a made-up snapshot.
type blob struct {
	name   string
	shared bool
	bytes  []byte
}

// contentOf is the state of a partition at an offset, a pure function of it: a
// few immutable parts that come and go, and mutable ones of all sizes.
func contentOf(p messages.Partition, o messages.Offset) []blob {
	var all []blob
	for i := max(o, 2) - 2; i <= o; i++ {
		all = append(all, blob{fmt.Sprintf("slice/%d", i), true, randomBytes(uint64(p)<<32|uint64(i), int(i%3)*3000)})
	}
	rng := rand.New(rand.NewPCG(uint64(o), uint64(p)))
	for i := range 2 {
		n := []int{0, 1, 100, 4095, 4096, 4097, 9000}[rng.IntN(7)]
		all = append(all, blob{fmt.Sprintf("rows/%d", i), false, randomBytes(rng.Uint64(), n)})
	}
	return all
}

// randomBytes are half noise, half what compresses.
func randomBytes(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		if i&256 == 0 {
			b[i] = byte(rng.Uint32())
		} else {
			b[i] = byte(i >> 3)
		}
	}
	return b
}

func infoOf(p messages.Partition, o messages.Offset) messages.SnapshotInfo {
	return messages.SnapshotInfo{Partition: p, Offset: o, Arrival: messages.Micros(o) * 1000, Format: 7}
}

// save stores the state at an offset.
func save(p *Partition, o messages.Offset) error {
	return p.Save(ctx, infoOf(p.id.Partition, o), func(w messages.PartWriter) error {
		return writeBlobs(w, contentOf(p.id.Partition, o))
	})
}

func writeBlobs(w messages.PartWriter, blobs []blob) error {
	for i, b := range blobs {
		put := w.Part
		if b.shared {
			put = w.Shared
		}
		err := put(b.name, func(w io.Writer) error {
			for rest := b.bytes; len(rest) > 0; {
				n, err := w.Write(rest[:min(len(rest), 1000+i)])
				if err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func mustSave(t testing.TB, p *Partition, offsets ...messages.Offset) {
	t.Helper()
	for _, o := range offsets {
		if err := save(p, o); err != nil {
			t.Fatalf("save %d: %v", o, err)
		}
	}
}

// wrong is what Load must never give out, and no error that it could pass over.
type wrong struct{ what string }

// load reads a snapshot and compares every byte with what the offset's state
// is. A difference is not an error that Load could fall back from: it is
// returned in wrong.
func load(p *Partition) (o messages.Offset, found bool, w *wrong, err error) {
	found, err = p.Load(ctx, func(info *messages.SnapshotInfo, r messages.PartReader) error {
		o = info.Offset
		if *info != infoOf(p.id.Partition, o) {
			w = &wrong{fmt.Sprintf("info %+v", info)}
		}
		want := contentOf(p.id.Partition, o)
		if names := r.Names(); len(names) != len(want) {
			w = &wrong{fmt.Sprintf("parts %q", names)}
		}
		for i, b := range want {
			err := r.Part(b.name, func(r io.Reader) error {
				got, err := io.ReadAll(r)
				// Bytes that come before an error must be right too.
				if r.(*partSource).part.Name != b.name || !bytes.HasPrefix(b.bytes, got) || err == nil && len(got) != len(b.bytes) {
					w = &wrong{fmt.Sprintf("part %q of offset %d has other bytes (%d of %d)", b.name, o, len(got), len(b.bytes))}
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("part %d: %w", i, err)
			}
		}
		return nil
	})
	return o, found, w, err
}

func mustLoad(t testing.TB, p *Partition, want messages.Offset) {
	t.Helper()
	o, found, w, err := load(p)
	if w != nil {
		t.Fatal(w.what)
	}
	if err != nil || !found || o != want {
		t.Fatalf("loaded %d (%v, %v), want %d", o, found, err, want)
	}
}

// sound fails the test unless every root that a manifest names is whole.
func sound(t testing.TB, objects objectstore.Store, when string) {
	t.Helper()
	report, err := Verify(ctx, objects, nil)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if !report.Sound() {
		t.Fatalf("%s: %s", when, describe(report))
	}
}

// watcher is sound after each step, but looks only if anything has happened that
// could change it: a manifest was put, or an object taken away.
type watcher struct {
	objects *tricky
	version objectstore.Version
	deletes int
}

func (w *watcher) sound(t testing.TB, partition messages.Partition, when string) {
	t.Helper()
	_, v, _ := w.objects.Store.Get(ctx, folderOf(testLog().ID, partition)+manifestName)
	if d := w.objects.count("delete"); v != w.version || d != w.deletes {
		w.version, w.deletes = v, d
		sound(t, w.objects.Store, when)
	}
}

func describe(r *Report) string {
	var b strings.Builder
	for _, m := range r.Manifests {
		fmt.Fprintln(&b, m)
	}
	for _, root := range r.Roots {
		for _, d := range root.Damage {
			fmt.Fprintf(&b, "%s: %v\n", root.Root.Key, d)
		}
	}
	return b.String()
}

func offsets(infos []RootInfo) []messages.Offset {
	var o []messages.Offset
	for _, i := range infos {
		o = append(o, i.Offset)
	}
	return o
}

// tricky passes operations on, and does three things to them on the way: it
// counts them, calls a hook before each, and delays puts of manifests until long
// after they were given up.
type tricky struct {
	objectstore.Store
	mu     sync.Mutex
	counts map[string]int
	hook   func(op, key string)
	late   func(key string) bool // whether this put of a manifest is to come later
	ghosts []func()
}

func newTricky(inner objectstore.Store) *tricky {
	return &tricky{Store: inner, counts: map[string]int{}}
}

func (s *tricky) meet(op, key string) {
	s.mu.Lock()
	s.counts[op]++
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(op, key)
	}
}

func (s *tricky) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[op]
}

var errLate = errors.New("no answer")

func (s *tricky) Put(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	s.meet("put", key)
	return s.Store.Put(ctx, key, body)
}

func (s *tricky) PutIfAbsent(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	s.meet("put", key)
	return s.Store.PutIfAbsent(ctx, key, body)
}

func (s *tricky) PutIfMatch(ctx context.Context, key string, body []byte, v objectstore.Version) (objectstore.Version, error) {
	s.meet("put", key)
	s.mu.Lock()
	if s.late != nil && s.late(key) {
		body = slices.Clone(body)
		s.ghosts = append(s.ghosts, func() { _, _ = s.Store.PutIfMatch(context.Background(), key, body, v) })
		s.mu.Unlock()
		return "", errLate
	}
	s.mu.Unlock()
	return s.Store.PutIfMatch(ctx, key, body, v)
}

// haunt does what was delayed, if it still can be done.
func (s *tricky) haunt() {
	s.mu.Lock()
	ghosts := s.ghosts
	s.ghosts = nil
	s.mu.Unlock()
	for _, g := range ghosts {
		g()
	}
}

func (s *tricky) Get(ctx context.Context, key string) ([]byte, objectstore.Version, error) {
	s.meet("get", key)
	return s.Store.Get(ctx, key)
}

func (s *tricky) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	s.meet("get", key)
	return s.Store.GetRange(ctx, key, at, n)
}

func (s *tricky) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	s.meet("list", prefix)
	return s.Store.List(ctx, prefix, each)
}

func (s *tricky) Delete(ctx context.Context, key string) error {
	s.meet("delete", key)
	return s.Store.Delete(ctx, key)
}

var _ objectstore.Store = (*tricky)(nil)
var _ objectstore.Store = (*faultstore.Memory)(nil)
