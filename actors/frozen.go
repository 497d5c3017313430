package actors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

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

// loadDedup is the table that a snapshot has. Runs that the store has already
// are taken from there, others are stored anew, and files that the table does
// not name are removed.
func loadDedup(from messages.PartReader, store RunStore, sealers *Sealers) (*dedup, error) {
	d := newDedup(0, store, sealers)
	if err := d.load(from); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *dedup) load(from messages.PartReader) error {
	var saved []savedGeneration
	err := from.Part(dedupPart, func(r io.Reader) (err error) {
		saved, err = d.decode(&decoder{r: bufio.NewReader(r)})
		return err
	})
	if err != nil {
		return fmt.Errorf("load the table of ids: %w", err)
	}
	var named []string
	for i, s := range saved {
		g := d.generations[i]
		for _, h := range s.runs {
			r, err := d.loadRun(from, h)
			if err != nil {
				return fmt.Errorf("load run of ids %s: %w", h.Name(), err)
			}
			g.runs = append(g.runs, r)
			if r.store != nil {
				named = append(named, r.name)
			}
		}
		d.refill(g, s.ids, i == len(saved)-1)
	}
	if err := removeOthers(d.store, named); err != nil {
		return err
	}
	d.arrange()
	d.seal()
	return nil
}

// refill puts the ids behind the runs where they were.
func (d *dedup) refill(g *generation, ids []seen.Packed, last bool) {
	g.open = new(seen.Set)
	for _, p := range ids {
		if g.open.Len() >= d.limits.set {
			g.close(g.first + uint64(g.open.Len()))
			g.open = new(seen.Set)
		}
		g.open.Add(p.ID())
	}
	if !last {
		g.close(g.first + uint64(g.open.Len()))
	}
}

// removeOthers removes the files that nobody names: those of a table that went
// on after the snapshot.
func removeOthers(store RunStore, named []string) error {
	if store == nil {
		return nil
	}
	names, err := store.List()
	if err != nil {
		return fmt.Errorf("list the runs of ids: %w", err)
	}
	for _, name := range names {
		if !slices.Contains(named, name) {
			if err := store.Remove(name); err != nil {
				return fmt.Errorf("remove run of ids %s, which is not used: %w", name, err)
			}
		}
	}
	return nil
}

// loadRun opens a run in the store, or brings it there.
func (d *dedup) loadRun(from messages.PartReader, h seen.Header) (*run, error) {
	store := d.store
	part := dedupRunPart + h.Name()
	if store == nil || h.Count <= uint64(d.limits.resident) {
		var data []byte
		err := from.Part(part, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
		if err != nil {
			return nil, err
		}
		f := residentFile(h.Name(), data)
		opened, err := seen.Open(f.in, f.in.Size())
		if err != nil {
			return nil, err
		}
		r := &run{opened, f}
		return r, r.is(h)
	}
	if r, err := openRun(store, h.Name()); err == nil {
		if r.is(h) == nil {
			return r, nil
		}
		r.release()
	}
	// What is there instead, if anything, is not the run: it is replaced.
	err := store.Create(h.Name(), func(w io.Writer) error {
		return from.Part(part, func(r io.Reader) error {
			_, err := io.Copy(w, r)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	r, err := openRun(store, h.Name())
	if err != nil {
		return nil, err
	}
	if err := r.is(h); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

// is tells whether the run has these ids.
func (r *run) is(h seen.Header) error {
	if r.Header != h {
		return fmt.Errorf("%w: it has ids %+v, want %+v", seen.ErrDamaged, r.Header, h)
	}
	return nil
}

// savedGeneration is a generation as decoded.
type savedGeneration struct {
	runs []seen.Header
	ids  []seen.Packed
}

// consecutive tells whether the numbers of the runs' ids follow one another up
// to first.
func (s *savedGeneration) consecutive(first uint64) bool {
	for i := len(s.runs) - 1; i >= 0; i-- {
		if first < s.runs[i].Count || s.runs[i].First != first-s.runs[i].Count {
			return false
		}
		first = s.runs[i].First
	}
	return true
}

// errSaved says that the part is not what save wrote.
var errSaved = errors.New("the table's part of the snapshot is malformed")

// decode reads what encode wrote, to the end.
func (d *dedup) decode(r *decoder) ([]savedGeneration, error) {
	if magic := r.bytes(len(dedupMagic)); r.err == nil && string(magic) != dedupMagic {
		return nil, errSaved
	}
	if v := r.u32(); r.err == nil && v != dedupVersion {
		return nil, fmt.Errorf("format version %d: this program reads %d", v, dedupVersion)
	}
	d.window = messages.Micros(r.u64())
	d.ordinal = r.u64()
	var saved []savedGeneration
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		g := &generation{start: messages.Micros(r.u64()), end: messages.Micros(r.u64())}
		var s savedGeneration
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			s.runs = append(s.runs, seen.Header{First: r.u64(), Count: r.u64(), SumHi: r.u64(), SumLo: r.u64()})
		}
		g.first = r.u64()
		for n := r.u64(); n > 0 && r.err == nil; n-- {
			s.ids = append(s.ids, eventID{Hi: r.u64(), Lo: r.u32()}.Pack())
		}
		if r.err == nil && !s.consecutive(g.first) {
			return nil, errSaved
		}
		d.generations, saved = append(d.generations, g), append(saved, s)
	}
	for n := r.u64(); n > 0 && r.err == nil; n-- {
		key := fingerprint{r.u64(), r.u64()}
		e := keyEntry{end: messages.Micros(r.u64()), stamp: messages.Micros(r.u64())}
		copy(e.body[:], r.bytes(len(e.body)))
		if n := r.u32(); n <= maxPosition {
			e.position = slices.Clone(r.bytes(int(n)))
		} else if r.err == nil {
			return nil, errSaved
		}
		if r.err == nil {
			d.keys.add(key, e)
		}
	}
	return saved, r.end()
}

// maxPosition is more than the bytes of any frame's position.
const maxPosition = 1 << 20

// decoder reads numbers; after an error it gives zeros.
type decoder struct {
	r   *bufio.Reader
	buf []byte
	err error
}

func (d *decoder) bytes(n int) []byte {
	if cap(d.buf) < n {
		d.buf = make([]byte, n)
	}
	d.buf = d.buf[:n]
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, d.buf)
	}
	if d.err != nil {
		clear(d.buf)
	}
	return d.buf
}

func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.bytes(4)) }
func (d *decoder) u64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

// end is the error so far, or that there is more to be read.
func (d *decoder) end() error {
	if d.err != nil {
		if errors.Is(d.err, io.EOF) || errors.Is(d.err, io.ErrUnexpectedEOF) {
			return errSaved
		}
		return d.err
	}
	if _, err := d.r.ReadByte(); err == nil {
		return errSaved
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
