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
