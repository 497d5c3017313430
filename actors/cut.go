package actors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// cut is the state of one partition as of one record, on its way to be saved.
// The ingest actor freezes its part behind the last record of a delta, and the
// cut travels with the delta to the shard, which freezes its table once the
// delta is counted. So both are of the same record: an ingest actor's state
// ahead of its shard's would drop acknowledged events on replay.
type cut struct {
	info   messages.SnapshotInfo
	ingest *frozenIngest
	table  *window.Frozen
	// frozen is closed once all of the above is there. Then the cut belongs to
	// whoever asked for it, until the shard is told to let go of it.
	frozen chan struct{}
	stall  time.Duration // how long the shard froze its table
	// err says why it never will be; set before frozen is closed.
	err error
	// decided is set by whoever comes first: the shard, which then freezes, or
	// whoever asked, who then waits no longer.
	decided atomic.Bool
}

func newCut() *cut { return &cut{frozen: make(chan struct{})} }

// decide tells whether the caller came first.
func (c *cut) decide() bool { return c.decided.CompareAndSwap(false, true) }

// release asks a shard to let go of a cut that has been saved, or was given up.
type releaseCut struct{ cut *cut }

// Freezer is a Core that can be saved.
type Freezer interface {
	Freeze() *window.Frozen
}

var (
	errNotSaved = errors.New("this shard's state cannot be saved")
	errFreezing = errors.New("the shard failed while it froze its state")
)

// freezeTable completes a cut: the shard has counted its delta. A cut that nobody
// waits for any more is dropped.
func (a *shardActor) freezeTable(c *cut, d *window.Delta) {
	if !c.decide() {
		c.ingest.dedup.release()
		return
	}
	defer close(c.frozen)
	f, ok := a.core.(Freezer)
	if !ok {
		c.err = errNotSaved
		return
	}
	began := time.Now()
	c.err = errFreezing // unless it returns
	c.table = f.Freeze()
	c.err = nil
	c.stall = time.Since(began)
	c.info = messages.SnapshotInfo{Partition: a.partition, Offset: d.Ledger.AppliedOffset, Arrival: d.Arrival, Format: snapshotFormat}
}

// snapshotFormat is the version of all that follows; see FORMAT.md.
const snapshotFormat = 1

// save writes a complete cut.
func (c *cut) save(w messages.PartWriter) error {
	if err := c.ingest.save(w); err != nil {
		return err
	}
	return c.table.Save(w)
}

// frozenIngest is an ingest's state as of the end of a delta.
type frozenIngest struct {
	next       messages.Offset
	arrival    messages.Micros
	eventTime  messages.Micros
	settings   messages.Settings
	ledger     messages.Ledger
	categories *window.Names
	regions    *window.Names
	dedup      *frozenDedup
	writers    []writer
}

// freeze is g as it is now. Names and writers are few: they are copied.
func (g *ingest) freeze() *frozenIngest {
	return &frozenIngest{
		next:       g.next,
		arrival:    g.arrival,
		eventTime:  g.eventTime,
		settings:   g.settings,
		ledger:     g.ledger,
		categories: g.categories.Clone(),
		regions:    g.regions.Clone(),
		dedup:      g.dedup.freeze(),
		writers:    g.writers.records(g.arrival),
	}
}

const (
	ingestPart    = "ingest"
	ingestMagic   = "CRESTING"
	ingestVersion = 2
)

func (f *frozenIngest) save(w messages.PartWriter) error {
	err := w.Part(ingestPart, func(w io.Writer) error {
		_, err := w.Write(f.encode())
		return err
	})
	if err != nil {
		return fmt.Errorf("save the ingest state: %w", err)
	}
	return f.dedup.save(w)
}

func (f *frozenIngest) encode() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(ingestMagic), ingestVersion)
	for _, v := range [...]uint64{
		uint64(f.next), uint64(f.arrival), uint64(f.eventTime),
		f.ledger.Counted, f.ledger.Duplicates, f.ledger.DeadLettered, f.ledger.Late, f.ledger.Clamped, f.ledger.Controls,
		f.ledger.Digest.Hi, f.ledger.Digest.Lo, f.ledger.Logged,
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	settings := f.settings.AppendTo(nil)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(settings)))
	b = append(b, settings...)
	for _, n := range [...]*window.Names{f.categories, f.regions} {
		b = append(b, flag(n.Folded()))
		b = binary.LittleEndian.AppendUint32(b, uint32(n.Len()))
		n.Each(func(id window.NameID, text string) {
			b = append(b, flag(n.Added(id).Clean))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
			b = append(b, text...)
		})
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.writers)))
	for i := range f.writers {
		w := &f.writers[i]
		b = append(b, w.id[:]...)
		b = binary.LittleEndian.AppendUint64(b, w.sequence)
		b = binary.LittleEndian.AppendUint64(b, uint64(w.arrival))
	}
	return b
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// loadIngest is the state that a snapshot has.
func loadIngest(id *messages.LogIdentity, info *messages.SnapshotInfo, from messages.PartReader, store RunStore, sealers *Sealers) (*ingest, error) {
	if info.Format != snapshotFormat {
		return nil, fmt.Errorf("format version %d of a snapshot: this program reads %d", info.Format, snapshotFormat)
	}
	g := newIngest(id)
	err := from.Part(ingestPart, func(r io.Reader) error { return g.decode(&decoder{r: bufio.NewReader(r)}) })
	switch {
	case err != nil:
		return nil, fmt.Errorf("load the ingest state: %w", err)
	case g.next != info.Offset || g.arrival != info.Arrival:
		return nil, fmt.Errorf("load the ingest state: it is of offset %d, the snapshot of %d", g.next, info.Offset)
	}
	if g.dedup, err = loadDedup(from, store, sealers); err != nil {
		return nil, err
	}
	return g, nil
}

// maxName is more than the bytes of any category or region.
const maxName = 1 << 16

func (g *ingest) decode(d *decoder) error {
	if magic := d.bytes(len(ingestMagic)); d.err == nil && string(magic) != ingestMagic {
		return errSaved
	}
	version := d.u32()
	if d.err == nil && (version < 1 || version > ingestVersion) {
		return fmt.Errorf("format version %d: this program reads 1 to %d", version, ingestVersion)
	}
	g.next = messages.Offset(d.u64())
	g.arrival, g.eventTime = messages.Micros(d.u64()), messages.Micros(d.u64())
	l := &g.ledger
	for _, v := range [...]*uint64{&l.Counted, &l.Duplicates, &l.DeadLettered, &l.Late, &l.Clamped, &l.Controls, &l.Digest.Hi, &l.Digest.Lo} {
		*v = d.u64()
	}
	l.AppliedOffset = g.next
	if version == 1 {
		// Of a log that begins at 0 and in which each event has an offset.
		l.Logged = uint64(g.next) - l.Controls
	} else {
		l.Logged = d.u64()
	}
	n := d.u32()
	if n > maxName {
		return errSaved
	}
	settings, err := messages.ParseSettings(d.bytes(int(n)))
	if d.err == nil && err != nil {
		return err
	}
	g.settings = settings
	for _, names := range [...]*window.Names{g.categories.Names, g.regions.Names} {
		delta := window.NamesDelta{Folded: d.bytes(1)[0] == 1}
		count := d.u32()
		for i := uint32(0); i < count && d.err == nil; i++ {
			clean := d.bytes(1)[0] == 1
			n := d.u32()
			if n > maxName {
				return errSaved
			}
			delta.Added = append(delta.Added, window.AddedName{ID: window.OtherName + 1 + window.NameID(i), Text: string(d.bytes(int(n))), Clean: clean})
		}
		if d.err == nil {
			names.Apply(&delta)
		}
	}
	if version > 1 {
		g.writers.decode(d)
	}
	return d.end()
}

func (w *writers) decode(d *decoder) {
	for n := d.u32(); n > 0 && d.err == nil; n-- {
		id := messages.WriterID(d.bytes(len(messages.WriterID{})))
		l := lastSent{sequence: d.u64(), arrival: messages.Micros(d.u64())}
		if d.err == nil {
			if w.last == nil {
				w.last = make(map[messages.WriterID]lastSent)
			}
			w.last[id] = l
		}
	}
}
