package seen_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/crestdb/crest/actors/seen"
)

// shapes are ways of drawing ids: keyed fingerprints are even; the others are
// what must be right all the same.
var shapes = map[string]func(*rand.Rand) seen.ID{
	"even":   func(r *rand.Rand) seen.ID { return seen.ID{Hi: r.Uint64(), Lo: r.Uint32()} },
	"small":  func(r *rand.Rand) seen.ID { return seen.ID{Hi: r.Uint64N(50), Lo: r.Uint32N(5000)} },
	"large":  func(r *rand.Rand) seen.ID { return seen.ID{Hi: ^r.Uint64N(1000), Lo: r.Uint32N(300)} },
	"one hi": func(r *rand.Rand) seen.ID { return seen.ID{Hi: 1 << 63, Lo: r.Uint32N(100_000)} },
	"clumps": func(r *rand.Rand) seen.ID { return seen.ID{Hi: r.Uint64N(4)<<62 | r.Uint64N(300), Lo: r.Uint32N(100)} },
}

func never() error { return nil }

// draw is n different ids, and n that are not among them.
func draw(rng *rand.Rand, shape func(*rand.Rand) seen.ID, n int) (ids, others []seen.Packed) {
	there := map[seen.ID]bool{}
	for len(ids) < n {
		if id := shape(rng); !there[id] {
			there[id] = true
			ids = append(ids, id.Pack())
		}
	}
	for range n {
		if id := shape(rng); !there[id] {
			others = append(others, id.Pack())
		}
	}
	return ids, others
}

func TestSetIsAMap(t *testing.T) {
	for name, shape := range shapes {
		for seed := range uint64(10) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var s seen.Set
			oracle := map[seen.ID]bool{}
			var order []seen.Packed
			frozen := s.IDs()
			for i := range 3000 {
				id := shape(rng)
				if s.Has(id) != oracle[id] {
					t.Fatalf("%s, seed %d: %v after %d ids: %v, want %v", name, seed, id, i, s.Has(id), oracle[id])
				}
				if !oracle[id] {
					oracle[id] = true
					order = append(order, id.Pack())
					s.Add(id)
				}
				if i == 1500 {
					frozen = s.IDs()
				}
			}
			for i, p := range s.IDs() {
				if p != order[i] || i < len(frozen) && frozen[i] != p {
					t.Fatalf("%s, seed %d: id %d is not the one that came then", name, seed, i)
				}
			}
		}
	}
}

func TestAFullSetHasWhatItIsSaidToHave(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var grown seen.Set
	for !grown.Full() {
		now, next := grown.Bytes()
		grown.Add(shapes["even"](rng))
		if after, _ := grown.Bytes(); after > next || now > after {
			t.Fatalf("%d bytes after %d ids were not foreseen: %d, %d", after, grown.Len(), now, next)
		}
	}
	for name, s := range map[string]*seen.Set{"grown": &grown, "made": seen.NewSet()} {
		if now, next := s.Bytes(); now != seen.FullSetBytes || next != now {
			t.Errorf("%s: %d bytes, next %d, want %d", name, now, next, seen.FullSetBytes)
		}
	}
}

// made is a run and its bytes.
type made struct {
	*seen.Run
	data []byte
}

// makeRun makes a run of sources, whose headers h joins.
func makeRun(t *testing.T, w *seen.Workspace, h seen.Header, sources ...seen.Source) made {
	t.Helper()
	var b bytes.Buffer
	r, err := w.Make(h, sources, &b, never)
	if err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != h.Size() {
		t.Fatalf("%d bytes, want %d", b.Len(), h.Size())
	}
	return made{r, b.Bytes()}
}

func (m made) has(t *testing.T, p seen.Packed) bool {
	t.Helper()
	probe := seen.ProbeOf(p.ID())
	if seen.Next([]seen.Filter{m.Filter()}, &probe, 0) == 1 {
		return false
	}
	var block [seen.BlockBytes]byte
	found, err := m.Has(p.ID(), bytes.NewReader(m.data), &block)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestRunsHaveTheirIDs: runs of every size around the blocks' edges, made at
// once and merged from parts, opened again and copied: all have the same bytes,
// and their ids, and no other.
func TestRunsHaveTheirIDs(t *testing.T) {
	for name, shape := range shapes {
		for seed, n := range []int{1, 2, 335, 336, 337, 676, 677, 678, 5000, 20_000} {
			rng := rand.New(rand.NewPCG(uint64(seed), 2))
			ids, others := draw(rng, shape, n)
			var w seen.Workspace
			h := seen.HeaderOf(7, ids)
			whole := makeRun(t, &w, h, seen.Source{IDs: ids})

			var parts []seen.Source
			var joined seen.Header
			for at := 0; at < n; {
				size := 1 + rng.IntN(n-at)
				of := seen.HeaderOf(7+uint64(at), ids[at:at+size])
				if at+size == n {
					parts = append(parts, seen.Source{IDs: ids[at:]})
				} else {
					part := makeRun(t, new(seen.Workspace), of, seen.Source{IDs: ids[at : at+size]})
					parts = append(parts, seen.Source{Run: part.Run, In: bytes.NewReader(part.data)})
				}
				if at == 0 {
					joined = of
				} else {
					joined = joined.Join(of)
				}
				at += size
			}
			if joined != h {
				t.Fatalf("%s, %d ids: joined %+v, want %+v", name, n, joined, h)
			}
			merged := makeRun(t, &w, joined, parts...)
			opened, err := seen.Open(bytes.NewReader(whole.data), int64(len(whole.data)))
			if err != nil {
				t.Fatalf("%s, %d ids: %v", name, n, err)
			}
			var copied bytes.Buffer
			if err := seen.Copy(&copied, opened, bytes.NewReader(whole.data)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(whole.data, merged.data) || !bytes.Equal(whole.data, copied.Bytes()) {
				t.Fatalf("%s, %d ids: a run merged from %d parts, or its copy, has other bytes", name, n, len(parts))
			}
			for _, m := range []made{whole, merged, {opened, whole.data}} {
				for i, p := range ids {
					if !m.has(t, p) {
						t.Fatalf("%s, %d ids, seed %d: id %d is lost", name, n, seed, i)
					}
				}
				for _, p := range others {
					if m.has(t, p) {
						t.Fatalf("%s, %d ids, seed %d: an id that was never there", name, n, seed)
					}
				}
			}
		}
	}
}

func TestFilterSaysYesToFewOthers(t *testing.T) {
	const n = 200_000
	rng := rand.New(rand.NewPCG(3, 3))
	ids, others := draw(rng, shapes["even"], n)
	m := makeRun(t, new(seen.Workspace), seen.HeaderOf(0, ids), seen.Source{IDs: ids})
	yes := 0
	for _, p := range others {
		probe := seen.ProbeOf(p.ID())
		if seen.Next([]seen.Filter{m.Filter()}, &probe, 0) == 0 {
			yes++
		}
	}
	if perMille := yes * 1000 / len(others); perMille > 5 {
		t.Errorf("the filter says yes to %d of %d others", yes, len(others))
	}
	if m.Bytes()*2 > n*3+200 {
		t.Errorf("%d ids take %d bytes in memory", n, m.Bytes())
	}
}

// TestEveryDamageIsFound: a byte changed anywhere, or the end cut off: opening
// or reading says so, and no id is denied.
func TestEveryDamageIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	ids, _ := draw(rng, shapes["even"], 900)
	whole := makeRun(t, new(seen.Workspace), seen.HeaderOf(0, ids), seen.Source{IDs: ids})
	for at := range whole.data {
		bad := bytes.Clone(whole.data)
		bad[at] ^= 1 << rng.IntN(8)
		r, err := seen.Open(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			err = seen.Copy(io.Discard, r, bytes.NewReader(bad))
		}
		if err == nil {
			t.Fatalf("byte %d of %d is damaged: not found", at, len(bad))
		}
		if at >= 12 && !errors.Is(err, seen.ErrDamaged) { // before that: the version
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	for cut := 1; cut <= len(whole.data); cut += 1 + cut/8 {
		bad := whole.data[:len(whole.data)-cut]
		if _, err := seen.Open(bytes.NewReader(bad), int64(len(bad))); err == nil {
			t.Fatalf("%d bytes are missing: not found", cut)
		}
	}
	var block [seen.BlockBytes]byte
	bad := bytes.Clone(whole.data)
	bad[100] ^= 1
	lost := 0
	for _, p := range ids {
		found, err := whole.Has(p.ID(), bytes.NewReader(bad), &block)
		if !found && !errors.Is(err, seen.ErrDamaged) {
			t.Fatal("an id in a damaged block is denied")
		}
		if !found {
			lost++
		}
	}
	if lost != 336 {
		t.Errorf("%d ids are in the damaged block, want 336", lost)
	}
	if err := swapped(t); !errors.Is(err, seen.ErrDamaged) {
		t.Errorf("two blocks in each other's place: %v", err)
	}
}

// swapped reads a run whose two whole blocks of equal size are exchanged.
func swapped(t *testing.T) error {
	t.Helper()
	ids, _ := draw(rand.New(rand.NewPCG(5, 5)), shapes["even"], 2000)
	m := makeRun(t, new(seen.Workspace), seen.HeaderOf(0, ids), seen.Source{IDs: ids})
	bad := bytes.Clone(m.data)
	copy(bad[seen.BlockBytes:], m.data[2*seen.BlockBytes:3*seen.BlockBytes])
	copy(bad[2*seen.BlockBytes:], m.data[seen.BlockBytes:2*seen.BlockBytes])
	return seen.Copy(io.Discard, m.Run, bytes.NewReader(bad))
}

func TestMakingARunCanBeHalted(t *testing.T) {
	ids, _ := draw(rand.New(rand.NewPCG(6, 6)), shapes["even"], 50_000)
	h := seen.HeaderOf(0, ids)
	var w seen.Workspace
	whole := makeRun(t, &w, h, seen.Source{IDs: ids})
	stopped, asked := errors.New("stopped"), 0
	_, err := w.Make(h, []seen.Source{{Run: whole.Run, In: bytes.NewReader(whole.data)}}, io.Discard, func() error {
		if asked++; asked == 3 {
			return stopped
		}
		return nil
	})
	if !errors.Is(err, stopped) {
		t.Errorf("after %d questions: %v", asked, err)
	}
}

// FuzzOpen: whatever the bytes, no panic, and no more memory than they take.
func FuzzOpen(f *testing.F) {
	ids, _ := draw(rand.New(rand.NewPCG(7, 7)), shapes["even"], 400)
	var b bytes.Buffer
	if _, err := new(seen.Workspace).Make(seen.HeaderOf(0, ids), []seen.Source{{IDs: ids}}, &b, never); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:60])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := seen.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if r.Size() != int64(len(data)) {
			t.Errorf("%d bytes are taken for %d", len(data), r.Size())
		}
		_ = seen.Copy(io.Discard, r, bytes.NewReader(data)) // may say that blocks are damaged
	})
}

func TestMemoryIsWhatIsSaid(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	ids, _ := draw(rand.New(rand.NewPCG(8, 8)), shapes["even"], seen.MaxSet)
	before := heap()
	var s seen.Set
	for _, p := range ids {
		s.Add(p.ID())
	}
	taken, _ := s.Bytes()
	if got := heap() - before; got < taken*95/100 || got > taken*105/100 {
		t.Errorf("a set takes %d bytes, it says %d", got, taken)
	}
	h := seen.HeaderOf(0, ids)
	var b bytes.Buffer
	b.Grow(int(h.Size()))
	var w seen.Workspace
	before = heap()
	r, err := w.Make(h, []seen.Source{{IDs: ids}}, &b, never)
	if err != nil {
		t.Fatal(err)
	}
	if got, said := heap()-before, r.Bytes()+seen.WorkspaceBytes(0); got < said*9/10 || got > said*11/10 {
		t.Errorf("a run and the room to make it take %d bytes, they say %d", got, said)
	}
	runtime.KeepAlive(&s)
	runtime.KeepAlive(&w)
	runtime.KeepAlive(ids)
	runtime.KeepAlive(&b)
	if want := seen.IndexBytes(h.Count); r.Bytes() != want {
		t.Errorf("%d bytes, foreseen %d", r.Bytes(), want)
	}
}

// TestTheFormatIsTheDocumentedOne checks the example in actors/FORMAT.md.
func TestTheFormatIsTheDocumentedOne(t *testing.T) {
	ids := []seen.Packed{seen.ID{Hi: 0xfedcba9876543210, Lo: 0x01020304}.Pack(), seen.ID{Hi: 5, Lo: 6}.Pack()}
	m := makeRun(t, new(seen.Workspace), seen.HeaderOf(3, ids), seen.Source{IDs: ids})
	if got := fmt.Sprintf("%x", m.data); got != documented {
		t.Errorf("bytes\n%s, want\n%s", got, documented)
	}
	if got, want := m.Name(), "0000000000000003-00000002-fedcba98765432150102030a.ids"; got != want {
		t.Errorf("name %s, want %s", got, want)
	}
}

const documented = "43524553544944530100000000000000030000000000000002000000000000001532547698badcfe0a03020100000000" +
	"0000000000000000000000000500000000000000060000001032547698badcfe04030201d210e48c0500000000000000" +
	"4d00000000000000000000000000000001010100000000000000000000000000050100000100000000000000000000000100010000000400000000000000000091c8ac10"

func BenchmarkMerge(b *testing.B) {
	const n = 4
	rng := rand.New(rand.NewPCG(9, 9))
	var sources []seen.Source
	var h seen.Header
	for i := range uint64(n) {
		ids, _ := draw(rng, shapes["even"], seen.MaxSet)
		of := seen.HeaderOf(i*seen.MaxSet, ids)
		var out bytes.Buffer
		r, err := new(seen.Workspace).Make(of, []seen.Source{{IDs: ids}}, &out, never)
		if err != nil {
			b.Fatal(err)
		}
		sources = append(sources, seen.Source{Run: r, In: bytes.NewReader(out.Bytes())})
		if i == 0 {
			h = of
		} else {
			h = h.Join(of)
		}
	}
	var w seen.Workspace
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Make(h, sources, io.Discard, never); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/seen.MaxSet, "ns/id")
}
