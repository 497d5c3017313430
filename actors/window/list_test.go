package window

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// buildList makes a list of counts by row.
func buildList(counts map[rowID]uint64) list {
	var (
		b   builder
		sum pageSum
	)
	ids := slices.Sorted(maps.Keys(counts))
	for i, id := range ids {
		sum.add(uint8(id), counts[id])
		if page := id >> pageShift; i == len(ids)-1 || ids[i+1]>>pageShift != page {
			b.add(page, &sum)
			sum.reset()
		}
	}
	return b.finish()
}

// readList decodes a list from its first block to its last.
func readList(l *list) map[rowID]uint64 {
	counts := make(map[rowID]uint64)
	var (
		c cursor
		b block
	)
	for c.start(l); !c.done; c.next() {
		c.read(&b)
		for i := range b.n {
			counts[b.page<<pageShift|rowID(b.place[i])] += b.count[i]
		}
	}
	return counts
}

// copyList makes a list of another one's blocks.
func copyList(t *testing.T, l *list) list {
	var (
		to builder
		c  cursor
		b  block
	)
	for c.start(l); !c.done; c.next() {
		if c.read(&b); !to.addBlock(&b) {
			t.Fatalf("block of page %d: said not to ascend", b.page)
		}
	}
	return to.finish()
}

// TestABlockThatRepeatsAPlaceIsNotCopied: runs have blocks of that kind.
func TestABlockThatRepeatsAPlaceIsNotCopied(t *testing.T) {
	w := stream{run: []uint64{pack(256, 1), pack(256, math.MaxUint32), pack(257, 0), pack(258, 2)}}
	var (
		to builder
		b  block
	)
	if w.read(&b); to.addBlock(&b) || len(to.data) > 0 {
		t.Errorf("%d entries were copied", to.n)
	}
}

// TestARunWithMoreEntriesThanItsPageHasRows: the last row has two, so the first
// block ascends, and yet is not all of its page.
func TestARunWithMoreEntriesThanItsPageHasRows(t *testing.T) {
	var run []uint64
	want := make(map[rowID]uint64)
	for id := rowID(pageRows); id < 2*pageRows; id++ {
		run = append(run, pack(id, 7))
		want[id] = 7
	}
	last := rowID(2*pageRows - 1)
	run = append(run, pack(last, math.MaxUint32))
	want[last] += math.MaxUint32
	m := merge{credit: 1 << 20, walks: []stream{{run: run}}, pages: make([]uint32, 1)}
	if m.advance(0); !m.step() {
		t.Fatal("the merge is not complete")
	}
	l := m.build.finish()
	if got := readList(&l); !maps.Equal(got, want) || l.count(last) != want[last] {
		t.Errorf("row %d has %d, want %d; all: %v", last, l.count(last), want[last], got)
	}
}

// FuzzList encodes whatever rows and counts the input spells, reads them back,
// and looks some of them up.
func FuzzList(f *testing.F) {
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{1, 0, 0, 1, 2, 0, 0, 1, 3, 0, 0, 200}, uint32(256))
	r := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		b := make([]byte, 4*r.IntN(400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b, r.Uint32())
	}
	f.Fuzz(func(t *testing.T, data []byte, shift uint32) {
		counts := make(map[rowID]uint64)
		for at := shift % 5000; len(data) >= 4; data = data[4:] {
			at += uint32(binary.LittleEndian.Uint16(data)) >> (shift % 16)
			n := uint64(data[3])<<(data[2]%56) + 1
			counts[at] = n
			at++
		}
		l := buildList(counts)
		if got := readList(&l); !maps.Equal(got, counts) || l.n != len(counts) {
			t.Fatalf("read %v, wrote %v", got, counts)
		}
		ids := slices.Sorted(maps.Keys(counts))
		for i, id := range ids {
			if i%7 == 0 && l.count(id) != counts[id] {
				t.Fatalf("row %d: looked up %d, want %d", id, l.count(id), counts[id])
			}
		}
		if copied := copyList(t, &l); !bytes.Equal(copied.data, l.data) || !slices.Equal(copied.marks, l.marks) || copied.n != l.n {
			t.Fatalf("block by block %v, by sums %v", copied, l)
		}
		// A cursor that skips meets every page that has rows.
		var c cursor
		c.start(&l)
		for i := 0; i < len(ids); i += 1 + int(shift%50) {
			page := ids[i] >> pageShift
			if c.seek(page); c.done || c.page != page {
				t.Fatalf("seek %d: done %v, page %d", page, c.done, c.page)
			}
		}
	})
}

func TestListTakesFewBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, share := range []int{2, 20, 100} {
		counts := make(map[rowID]uint64)
		for id := rowID(pageRows); id < 200_000; id++ {
			if r.IntN(share) == 0 {
				counts[id] = 1 + r.Uint64N(4)*r.Uint64N(40)
			}
		}
		l := buildList(counts)
		per := float64(l.bytes()) / float64(l.n)
		t.Logf("one row of %d: %.2f bytes an entry", share, per)
		if per > 3.5 {
			t.Errorf("one row of %d: %.2f bytes an entry", share, per)
		}
	}
}

func TestSorter(t *testing.T) {
	var s sorter
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		e := make([]uint64, r.IntN(3000))
		rows := uint32(1) << r.IntN(33)
		sum := make(map[rowID]uint64)
		for i := range e {
			e[i] = pack(r.Uint32()&(rows-1), r.Uint32())
			sum[packedRow(e[i])] += packedCount(e[i])
		}
		s.sort(e)
		got := make(map[rowID]uint64)
		for i := range e {
			if i > 0 && packedRow(e[i-1]) > packedRow(e[i]) {
				t.Fatalf("seed %d: not ascending at %d", seed, i)
			}
		}
		for _, x := range combine(e) {
			got[packedRow(x)] += packedCount(x)
		}
		if !maps.Equal(got, sum) {
			t.Fatalf("seed %d: counts changed", seed)
		}
	}
}
