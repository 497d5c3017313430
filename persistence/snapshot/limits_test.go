package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gauge counts what is in flight: operations on parts that have begun and not
// ended, which end when nothing else in the bubble can go on.
type gauge struct {
	objectstore.Store
	mu        sync.Mutex
	now, most int
}

func (g *gauge) enter(key string) func() {
	if !strings.HasSuffix(key, ".part") {
		return func() {}
	}
	g.mu.Lock()
	g.now++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	return func() {
		time.Sleep(time.Millisecond) // of the bubble: until all others wait
		g.mu.Lock()
		g.now--
		g.mu.Unlock()
	}
}

func (g *gauge) Put(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	defer g.enter(key)()
	return g.Store.Put(ctx, key, body)
}

func (g *gauge) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	defer g.enter(key)()
	return g.Store.GetRange(ctx, key, at, n)
}

// TestMemoryIsBounded: however large a part is, and however slow the store, only
// a few objects are written or read ahead.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{Store: faultstore.NewMemory()}
		p := take(t, newStore(t, g, func(c *Config) { c.InFlight = 2 }), 0)
		part, ahead := bytes.Repeat([]byte("x"), 4096), 0
		err := p.Save(ctx, infoOf(0, 1), func(w messages.PartWriter) error {
			return w.Part("large", func(w io.Writer) error {
				for i := range 200 {
					if _, err := w.Write(part); err != nil {
						return err
					}
					g.mu.Lock()
					done := len(g.Store.(*faultstore.Memory).Keys()) - 1
					g.mu.Unlock()
					ahead = max(ahead, i+1-done)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if g.most > 3 || g.most < 2 || ahead > 4 {
			t.Errorf("%d objects were in flight at a time, the writer %d ahead", g.most, ahead)
		}
		g.most = 0
		_, err = p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error {
			return r.Part("large", func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
		})
		if err != nil || g.most != 2 {
			t.Errorf("%d objects were read at a time, %v", g.most, err)
		}
	})
}

func TestWritesKeepToTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, size = 10 << 20, 60 << 20
		s := newStore(t, faultstore.NewMemory(), func(c *Config) { c.ObjectBytes = 1 << 20; c.BytesPerSecond = perSecond })
		p := take(t, s, 0)
		noise := make([]byte, 1<<20)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		start := time.Now()
		err := p.Save(ctx, infoOf(0, 1), func(w messages.PartWriter) error {
			return w.Part("large", func(w io.Writer) error {
				for range size >> 20 {
					if _, err := w.Write(noise); err != nil {
						return err
					}
				}
				return nil
			})
		})
		// A burst of one object of the largest kind may go ahead.
		if took := time.Since(start); err != nil || took < (size-MaxObject)*time.Second/perSecond || took > size*time.Second/perSecond {
			t.Errorf("%d MiB at %d MiB/s took %v, %v", size>>20, perSecond>>20, took, err)
		}
	})
}

// TestAnOperationEndsWithItsContext, and leaves the lease usable.
func TestAnOperationEndsWithItsContext(t *testing.T) {
	objects := newTricky(faultstore.NewMemory())
	p := take(t, newStore(t, objects), 0)
	mustSave(t, p, 1, 2, 3, 4)
	for n := range 40 {
		for what, do := range map[string]func(context.Context) error{
			"save": func(ctx context.Context) error {
				return p.Save(ctx, infoOf(0, 5), func(w messages.PartWriter) error { return writeBlobs(w, contentOf(0, 5)) })
			},
			"load": func(ctx context.Context) error {
				_, err := p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error { return readNames(r) })
				return err
			},
			"sweep":   func(ctx context.Context) error { _, err := p.Sweep(ctx); return err },
			"move on": func(ctx context.Context) error { _, err := p.MoveOn(ctx, 3); return err },
			"cursor":  func(ctx context.Context) error { return p.SetCursor(ctx, "x", 1) },
		} {
			short, cancel := context.WithCancel(ctx)
			ops := 0
			var mu sync.Mutex
			objects.hook = func(string, string) {
				mu.Lock()
				defer mu.Unlock()
				if ops++; ops > n {
					cancel()
				}
			}
			err := do(short)
			cancel()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, cancelled at operation %d: %v", what, n, err)
			}
			if n == 0 && err == nil {
				t.Errorf("%s went on without a context", what)
			}
		}
	}
	objects.hook = nil
	mustSave(t, p, 6)
	mustLoad(t, p, 6)
	sound(t, objects, "at the end")
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Oldest(over); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func readNames(r messages.PartReader) error {
	for _, n := range r.Names() {
		if err := r.Part(n, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkSnapshot(b *testing.B) {
	const size = 64 << 20
	raw := make([]byte, 0, size)
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 1, 1<<20)
	for len(raw) < size { // rows: a hash, seven counts, a name
		raw = le.AppendUint64(raw, rng.Uint64())
		n := zipf.Uint64()
		for w := range uint64(7) {
			raw = le.AppendUint32(raw, uint32(n*(w+1)/7+rng.Uint64N(3)))
		}
		raw = fmt.Appendf(raw, "video-%08d", rng.IntN(5_000_000))
	}
	for _, where := range []string{"memory", "dir"} {
		var objects objectstore.Store = faultstore.NewMemory()
		if where == "dir" {
			var err error
			if objects, err = objectstore.Dir(nil, b.TempDir()); err != nil {
				b.Fatal(err)
			}
		}
		p := take(b, newStore(b, objects, func(c *Config) { c.ObjectBytes = 4 << 20 }), 0)
		b.Run("save/rows=64MiB/"+where, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				err := p.Save(ctx, infoOf(0, 1), func(w messages.PartWriter) error {
					return w.Part("rows", func(w io.Writer) error { _, err := w.Write(raw); return err })
				})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.Sweep(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(p.Roots()[0].Bytes)/float64(len(raw)), "stored/raw")
		})
		b.Run("load/rows=64MiB/"+where, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := p.Load(ctx, func(_ *messages.SnapshotInfo, r messages.PartReader) error { return readNames(r) })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
