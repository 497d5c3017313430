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
	Segments   []SegmentReport   // ascending; those without a readable header left out
	Ends       messages.Position // behind the last durable frame that can be read
	LastStamp  messages.Micros   // the largest of those frames

	// Damage is what Open refuses for, and Lost is what cannot be read for it:
	// everything from a damaged byte to the next sound segment.
	Damage []*CorruptError
	Lost   []LostRange

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

// LostRange is a run of offsets of one partition that cannot be read.
type LostRange struct {
	Partition messages.Partition
	From      messages.Offset
	To        messages.Offset // not included
	ToEnd     bool            // everything from From on; how much is not known
}

// Verify reads the whole log in dir and reports what it finds, damage included.
// Its error says that the log could not be looked at: there is none, its
// identity is damaged, or a file cannot be read. It changes nothing and needs
// no lock; of a log in use the newest part may look unfinished.
func Verify(fsys persistence.FS, dir string) (*Report, error) {
	c, err := survey(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	v := verification{chain: c, report: &Report{
		ID: c.id.ID, Partitions: c.id.Partitions, Clock: c.id.Clock, Settings: c.id.Settings,
		Damage: slices.Clone(c.damage), Ends: make(messages.Position, c.id.Partitions),
	}}
	v.scan = newFrameScan(fsys, dir, c, v.count)
	copy(v.report.Ends, v.scan.next)
	for i := range c.links {
		if err := v.segment(i); err != nil {
			return nil, fmt.Errorf("verify log: %w", err)
		}
	}
	return v.report, nil
}

type verification struct {
	chain  *chain
	scan   *frameScan
	report *Report
}

// segment checks the i-th segment of the chain.
func (v *verification) segment(i int) error {
	k := &v.chain.links[i]
	if k.head != nil {
		v.lose(k.head.base)
		copy(v.scan.next, k.head.base)
		v.report.Segments = append(v.report.Segments, SegmentReport{File: k.name(), Bytes: k.bound, Base: slices.Clone(k.head.base)})
	}
	err := v.scan.segment(i)
	var corrupt *CorruptError
	last := i == len(v.chain.links)-1
	switch {
	case errors.As(err, &corrupt):
		v.note(corrupt)
		if last {
			v.loseRest()
		}
	case err != nil:
		return err
	case last:
		v.report.TornBytes = k.size - v.scan.end
	}
	return nil
}

// count is called for every frame that can be read.
func (v *verification) count(f FrameInfo) error {
	if !f.Durable {
		v.report.TailFrames++
		v.report.TailBytes += int64(f.Size)
		return nil
	}
	r := &v.report.Segments[len(v.report.Segments)-1]
	if r.Frames == 0 {
		r.FirstStamp = f.Stamp
	}
	r.Frames++
	r.LastStamp = f.Stamp
	v.report.LastStamp = max(v.report.LastStamp, f.Stamp)
	for _, b := range f.Blocks {
		r.Events += uint64(b.Records)
		v.report.Ends[b.Partition] = b.Offset + max(1, messages.Offset(b.Records))
	}
	return nil
}

// note adds damage, unless the file's was found before its frames were read.
func (v *verification) note(e *CorruptError) {
	if !slices.ContainsFunc(v.report.Damage, func(d *CorruptError) bool { return d.File == e.File }) {
		v.report.Damage = append(v.report.Damage, e)
	}
}

// lose notes what lies between what was read and where a segment begins.
func (v *verification) lose(resume []messages.Offset) {
	for p, from := range v.scan.next {
		if resume[p] > from {
			v.report.Lost = append(v.report.Lost, LostRange{Partition: messages.Partition(p), From: from, To: resume[p]})
		}
	}
}

func (v *verification) loseRest() {
	for p, from := range v.scan.next {
		v.report.Lost = append(v.report.Lost, LostRange{Partition: messages.Partition(p), From: from, ToEnd: true})
	}
}
