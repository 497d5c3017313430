package window_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// smallConfig is that of smallSnapshot.
var smallConfig = window.Config{Hash: hashOf, Memory: 1 << 20, Epsilon: 0.01, Delta: 0.1, Key: [2]uint64{1, 2}}

// tinyConfig is for what is to be tried a million times.
var tinyConfig = window.Config{Hash: hashOf, Memory: 1 << 14, Epsilon: 0.5, Delta: 0.3, Key: [2]uint64{1, 2}}

// smallSnapshot has something of everything.
func smallSnapshot(tb testing.TB) *kept {
	k := snapshotOf(tb, smallConfig, 5000, 4000)
	if len(k.names) < 6 {
		tb.Fatalf("parts %v: no list has one of its own", k.names)
	}
	return k
}

// snapshotOf begins with many topics in one slice.
func snapshotOf(tb testing.TB, cfg window.Config, burst, events int) *kept {
	s := newStream(3)
	s.clock, s.topics = 1_700_000_000*messages.Second, nil
	s.categories, s.regions = []string{"c0", "c1", "c2"}, []string{"r0", "r1"}
	s.maxCategories, s.maxRegions = 2, 4
	for i := range 60 {
		s.topics = append(s.topics, topicName(s.Rand, i))
	}
	b := newBatch(s.maxCategories, s.maxRegions, hashOf)
	table := window.New(cfg)
	for i := range burst {
		b.add(event{s.clock.Floor(messages.SliceLength), fmt.Sprint("burst", i), "c0", "", uint64(1 + i%3)})
	}
	for n := range events {
		s.step = []messages.Micros{messages.Minute}
		e := s.next()
		b.add(e)
		if n%20 == 19 {
			table.Apply(b.flush(s.clock))
			if n%(events/10) == events/10-1 {
				table.Hide(3)
				table.Leave(func() bool { return s.IntN(20) == 0 })
			}
		}
	}
	f := table.Freeze()
	defer f.Release()
	k := new(kept)
	if err := f.Save(k); err != nil {
		tb.Fatal(err)
	}
	return k
}

// with is a snapshot with another part.
func (k *kept) with(name string, b []byte) *kept {
	parts := maps.Clone(k.parts)
	parts[name] = b
	return &kept{names: k.names, parts: parts}
}

// TestLoadRefuses what was not saved.
func TestLoadRefuses(t *testing.T) {
	k := smallSnapshot(t)
	refused := func(what string, cfg window.Config, k *kept, says string) {
		t.Helper()
		if _, err := window.Load(cfg, reading{k}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", what, err, says)
		}
	}
	for _, name := range k.names {
		b := k.parts[name]
		refused(name+" empty", smallConfig, k.with(name, nil), "window: load ")
		refused(name+" cut off", smallConfig, k.with(name, b[:len(b)-1]), name)
		refused(name+" with a byte more", smallConfig, k.with(name, append(slices.Clone(b), 0)), name)
		refused(name+" with a block more", smallConfig, k.with(name, append(slices.Clone(b), 1, 0, 0, 0, 0xff)), "window: load ")
		refused(name+" with a long block", smallConfig, k.with(name, append(slices.Clone(b), 0, 0, 0, 0x7f)), name)
		parts := maps.Clone(k.parts)
		delete(parts, name)
		refused("without "+name, smallConfig, &kept{names: k.names, parts: parts}, name)
	}
	table := slices.Clone(k.parts["table"])
	table[4]++
	refused("another format", smallConfig, k.with("table", table), "format")
	cfg := smallConfig
	cfg.Key[0]++
	refused("another key", cfg, k, "key")
	for _, name := range k.names {
		if strings.HasPrefix(name, "list-") {
			for i := 0; i < len(k.parts[name]); i += 29 {
				b := slices.Clone(k.parts[name])
				b[i] ^= 1 << (i % 8)
				refused("a damaged list", smallConfig, k.with(name, b), name)
			}
		}
	}
}

// TestLoadOfDamage: whatever is damaged, it is refused, or there is a table that
// can be asked and saved.
func TestLoadOfDamage(t *testing.T) {
	k := smallSnapshot(t)
	r := rand.New(rand.NewPCG(1, 23))
	refused, loaded := 0, 0
	for range 1200 {
		name := k.names[r.IntN(5)]
		b := slices.Clone(k.parts[name])
		for range 1 + r.IntN(3) {
			switch at := r.IntN(len(b)); r.IntN(4) {
			case 0:
				b[at] = byte(r.Uint32())
			case 1:
				b[at] ^= 1 << r.IntN(8)
			case 2:
				b = slices.Delete(b, at, at+1)
			case 3:
				b = slices.Insert(b, at, 0xff)
			}
		}
		if tryLoad(t, smallConfig, k.with(name, b)) {
			loaded++
		} else {
			refused++
		}
	}
	t.Logf("%d refused, %d loaded", refused, loaded)
	if refused < loaded {
		t.Errorf("only %d were refused, %d were not", refused, loaded)
	}
}

// tryLoad asks what can be loaded.
func tryLoad(t *testing.T, cfg window.Config, k *kept) bool {
	table, err := window.Load(cfg, reading{k})
	if err != nil {
		return false
	}
	for _, w := range []messages.Window{messages.Window5m, messages.Window(37 * messages.Minute), messages.WindowAll} {
		for _, c := range []messages.Cell{{}, {Category: "c1"}, {Category: "c0", Region: "r0"}, {Region: "other"}} {
			table.Top(&window.TopAsk{Window: w, E: table.Clock(), Cell: c, K: 10, Categories: true})
			table.Count(&window.CountAsk{Topics: []string{"t0", "t4"}, Window: w, E: table.Clock(), Cell: c})
		}
		table.Cells(&window.CellsAsk{Window: w, E: table.Clock()})
		table.Prefix(&window.PrefixAsk{Prefix: "t", Window: w, E: table.Clock(), Limit: 5})
	}
	f := table.Freeze()
	again := save(t, f, nil)
	f.Release()
	if _, err := window.Load(cfg, reading{again}); err != nil {
		t.Errorf("what was loaded and saved again is refused: %v", err)
	}
	return true
}

// FuzzLoad gives a part other bytes.
func FuzzLoad(f *testing.F) {
	k := snapshotOf(f, tinyConfig, 0, 200)
	for i, name := range k.names[:5] {
		f.Add(uint8(i), k.parts[name])
	}
	f.Fuzz(func(t *testing.T, part uint8, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		other := k.with(k.names[int(part)%5], b)
		_, err := window.Load(tinyConfig, reading{other})
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20+4096*uint64(len(b)) {
			t.Fatalf("%d bytes are allocated for %d (%v)", took, len(b), err)
		}
		if err == nil {
			tryLoad(t, tinyConfig, other)
		}
	})
}

// TestReadsToTheEnd: checksums are checked at the end of a part, so every part is
// read so far.
func TestReadsToTheEnd(t *testing.T) {
	r := &ends{reading: reading{smallSnapshot(t)}}
	if _, err := window.Load(smallConfig, r); err != nil {
		t.Fatal(err)
	}
	if r.parts != len(r.names) {
		t.Errorf("%d of %d parts are read to the end", r.parts, len(r.names))
	}
}

type ends struct {
	reading
	parts int // read to the end
}

func (r *ends) Part(name string, read func(io.Reader) error) error {
	b := bytes.NewReader(r.kept.parts[name])
	ended := false
	err := read(readerFunc(func(p []byte) (int, error) {
		n, err := b.Read(p)
		ended = ended || err == io.EOF
		return n, err
	}))
	if ended {
		r.parts++
	}
	return err
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSavedSize: what is saved is far smaller than what is held.
func TestSavedSize(t *testing.T) {
	for _, memory := range []int64{0, 8 << 20} {
		l := newBoundedLoad(200_000, memory)
		f := l.table.Freeze()
		n := save(t, f, nil).bytes()
		f.Release()
		held := l.table.Stats().Memory
		t.Logf("%d bytes of %d", n, held.Engine())
		if int64(n) > held.Engine()*3/10 {
			t.Errorf("%d bytes are saved of %d", n, held.Engine())
		}
	}
}

// TestFrozenTwice: one at a time.
func TestFrozenTwice(t *testing.T) {
	table := newTable()
	f := table.Freeze()
	panics(t, "a second one", func() { table.Freeze() })
	f.Release()
	panics(t, "released again", f.Release)
	table.Freeze().Release()
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
