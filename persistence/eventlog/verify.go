package eventlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// Report is what Verify found.
type Report struct {
	ID         messages.LogID
	Partitions int
	Clock      messages.Clock
	Settings   messages.Settings // at the log's first record
	Segments   []SegmentReport   // ascending, those that are missing left out
	Ends       messages.Position // behind the last durable frame that can be read
	LastStamp  messages.Micros
	// Damage is what Open refuses for, in the order of the log.
	Damage []Damage
	// Behind the last durable byte, which is not damage: whole frames, which
	// the next Open keeps, and bytes that it drops.
	TailFrames           int
	TailBytes, TornBytes int64
}

// SegmentReport is one segment file.
type SegmentReport struct {
	File   string
	Bytes  int64 // durable
	Frames int   // that can be read
	Events uint64
	Base   messages.Position // next offset of every partition at its first frame
	// Stamps of the first and the last frame; 0 without one.
	FirstStamp, LastStamp messages.Micros
}

// Damage is one damaged place and what cannot be read for it: everything from
// there to the next segment that is sound.
type Damage struct {
	CorruptError
	Lost []LostRange
}

// LostRange is a run of offsets of one partition that cannot be read.
type LostRange struct {
	Partition messages.Partition
	From      messages.Offset
	To        messages.Offset // not included; equal to From if unknown: the log's end is lost
}

// Verify reads the whole log in dir and reports what it finds, damage included.
// Its error says that the log could not be looked at: there is none, its
// identity is damaged, or a file cannot be read. It changes nothing and needs
// no lock, but of a log in use the newest part may look unfinished.
func Verify(fsys persistence.FS, dir string) (*Report, error) {
	c, err := survey(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	v := verification{fs: fsys, dir: dir, chain: c, next: make([]messages.Offset, c.id.Partitions)}
	v.report = &Report{ID: c.id.ID, Partitions: c.id.Partitions, Clock: c.id.Clock, Settings: c.id.Settings}
	for _, d := range c.damage {
		v.report.Damage = append(v.report.Damage, Damage{CorruptError: *d})
	}
	for i := range c.links {
		if err := v.segment(i); err != nil {
			return nil, fmt.Errorf("verify log: %w", err)
		}
	}
	v.report.Ends = v.next
	return v.report, nil
}

type verification struct {
	fs     persistence.FS
	dir    string
	chain  *chain
	next   []messages.Offset // as far as can be read
	report *Report
}

// segment checks the i-th segment of the chain.
func (v *verification) segment(i int) error {
	k := &v.chain.links[i]
	if k.head == nil { // noted in the chain's damage already
		if i == len(v.chain.links)-1 {
			v.lose(k.name(), nil)
		}
		return nil
	}
	if i > 0 && !slices.Equal(v.next, k.head.base) {
		v.lose(v.chain.links[i-1].name(), k.head.base)
	}
	copy(v.next, k.head.base)
	r := SegmentReport{File: k.name(), Bytes: k.bound, Base: slices.Clone(v.next)}
	s := frameScan{fs: v.fs, dir: v.dir, chain: v.chain, link: k, next: v.next}
	s.fn = func(f FrameInfo) error {
		v.count(&r, &f)
		return nil
	}
	last := i == len(v.chain.links)-1
	err := s.run(last)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		v.note(corrupt)
		if last {
			v.lose(k.name(), nil)
		}
		err = nil
	} else if err == nil && last {
		v.report.TornBytes = max(0, k.size-s.end)
	}
	v.report.Segments = append(v.report.Segments, r)
	return err
}

func (v *verification) count(r *SegmentReport, f *FrameInfo) {
	if !f.Durable {
		v.report.TailFrames++
		v.report.TailBytes += int64(f.Size)
		return
	}
	if r.Frames == 0 {
		r.FirstStamp = f.Stamp
	}
	r.Frames++
	r.LastStamp = f.Stamp
	v.report.LastStamp = max(v.report.LastStamp, f.Stamp)
	for _, b := range f.Blocks {
		r.Events += uint64(b.Records)
	}
}

// note adds damage unless the chain's own check has found the same: a file that
// ends too early.
func (v *verification) note(e *CorruptError) {
	for i := range v.report.Damage {
		if v.report.Damage[i].File == e.File {
			return
		}
	}
	v.report.Damage = append(v.report.Damage, Damage{CorruptError: *e})
}

// lose adds to the last damage of file (or of the file behind it, if that is
// missing) what cannot be read between here and resume; nil: all the rest.
func (v *verification) lose(file string, resume []messages.Offset) {
	at := slices.IndexFunc(v.report.Damage, func(d Damage) bool { return d.File >= file && d.File != durableName })
	if at < 0 {
		v.report.Damage = append(v.report.Damage, Damage{CorruptError: CorruptError{File: file, Reason: "the next segment does not continue it"}})
		at = len(v.report.Damage) - 1
	}
	d := &v.report.Damage[at]
	for p, from := range v.next {
		switch {
		case resume == nil:
			d.Lost = append(d.Lost, LostRange{messages.Partition(p), from, from})
		case resume[p] != from:
			d.Lost = append(d.Lost, LostRange{messages.Partition(p), from, resume[p]})
		}
	}
}
