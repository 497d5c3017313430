package actors

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

// frozenDedup is a dedup table as it was at one record. It holds what the table
// appends to and never changes, so freezing copies no id; save may run while
// the table goes on. It must be released.
type frozenDedup struct {
	window      messages.Micros
	ordinal     uint64
	generations []frozenGeneration
	keys        []keyRecord
}

type frozenGeneration struct {
	start, end messages.Micros
	runs       []*run          // held
	first      uint64          // the number of the first of ids
	ids        [][]seen.Packed // those behind the runs', in the order of their numbers
}

// The parts of a snapshot: the table without its runs, and a shared part for
// each of them. See FORMAT.md.
const (
	dedupPart    = "dedup"
	dedupRunPart = "dedup-" // and the run's name
	dedupMagic   = "CRESTDUP"
	dedupVersion = 1
)

// freeze is the table as it is now.
func (d *dedup) freeze() *frozenDedup {
	f := &frozenDedup{window: d.window, ordinal: d.ordinal, keys: d.keys.records()}
	for _, g := range d.generations {
		fg := frozenGeneration{start: g.start, end: g.end, first: g.first}
		if len(g.full) > 0 {
			fg.first = g.full[0].first
		}
		for _, r := range g.runs {
			fg.runs = append(fg.runs, r.hold())
		}
		for _, s := range g.full {
			fg.ids = append(fg.ids, s.IDs())
		}
		if g.open != nil {
			fg.ids = append(fg.ids, g.open.IDs())
		}
		f.generations = append(f.generations, fg)
	}
	return f
}

// release lets go of the runs. It is called once.
func (f *frozenDedup) release() {
	for _, g := range f.generations {
		for _, r := range g.runs {
			r.release()
		}
	}
}

// save stores the table in a snapshot. The runs' bytes are checked on the way:
// damage is an error, and does not get into the snapshot.
func (f *frozenDedup) save(w messages.PartWriter) error {
	for _, g := range f.generations {
		for _, r := range g.runs {
			err := w.Shared(dedupRunPart+r.name, func(w io.Writer) error { return seen.Copy(w, r.Run, r.in) })
			if err != nil {
				return fmt.Errorf("save the table of ids: %w", err)
			}
		}
	}
	return w.Part(dedupPart, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		f.encode(b)
		return b.Flush()
	})
}

// encode writes all but the runs; an error stays with b.
func (f *frozenDedup) encode(b *bufio.Writer) {
	var scratch [8]byte
	u32 := func(v uint32) { _, _ = b.Write(binary.LittleEndian.AppendUint32(scratch[:0], v)) }
	u64 := func(v uint64) { _, _ = b.Write(binary.LittleEndian.AppendUint64(scratch[:0], v)) }
	_, _ = b.WriteString(dedupMagic)
	u32(dedupVersion)
	u64(uint64(f.window))
	u64(f.ordinal)
	u32(uint32(len(f.generations)))
	for _, g := range f.generations {
		u64(uint64(g.start))
		u64(uint64(g.end))
		u32(uint32(len(g.runs)))
		for _, r := range g.runs {
			for _, v := range [...]uint64{r.First, r.Count, r.SumHi, r.SumLo} {
				u64(v)
			}
		}
		u64(g.first)
		n := 0
		for _, ids := range g.ids {
			n += len(ids)
		}
		u64(uint64(n))
		for _, ids := range g.ids {
			for _, p := range ids {
				id := p.ID()
				u64(id.Hi)
				u32(id.Lo)
			}
		}
	}
	u64(uint64(len(f.keys)))
	for i := range f.keys {
		k := &f.keys[i]
		u64(k.key.hi)
		u64(k.key.lo)
		u64(uint64(k.end))
		u64(uint64(k.stamp))
		_, _ = b.Write(k.body[:])
		u32(uint32(len(k.position)))
		_, _ = b.Write(k.position)
	}
}
