package eventlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

const (
	durableName  = "durable"
	durableMagic = "CRESTDUR"
	slotBytes    = 68
	slotStride   = 4096 // each slot in a disk block of its own
)

// durableMark says how far the log was durable, at least, when it was written:
// what is missing or damaged below it is corruption, what lies behind it may be
// the torn end of an unfinished write.
type durableMark struct {
	sequence uint64 // of two marks the greater one holds
	first    uint64 // first segment that was not trimmed
	last     uint64 // segment being written
	length   int64  // durable bytes of it
}

func (m *durableMark) encode(log messages.LogID) []byte {
	b := make([]byte, 0, slotBytes)
	b = append(b, durableMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, 0)
	b = append(b, log[:]...)
	b = le.AppendUint64(b, m.sequence)
	b = le.AppendUint64(b, m.first)
	b = le.AppendUint64(b, m.last)
	b = le.AppendUint64(b, uint64(m.length))
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeMark reads one slot; ok is false unless it is whole and of this log.
func decodeMark(b []byte, log messages.LogID) (m durableMark, ok bool) {
	if len(b) < slotBytes {
		return m, false
	}
	b = b[:slotBytes]
	if string(b[:8]) != durableMagic || le.Uint32(b[8:]) != formatVersion || string(b[16:32]) != string(log[:]) ||
		crc32.Checksum(b[:slotBytes-4], castagnoli) != le.Uint32(b[slotBytes-4:]) {
		return m, false
	}
	m = durableMark{
		sequence: le.Uint64(b[32:]),
		first:    le.Uint64(b[40:]),
		last:     le.Uint64(b[48:]),
		length:   int64(le.Uint64(b[56:])),
	}
	return m, m.first <= m.last && m.length >= 0
}

// readMark is the mark that holds, and the slot it is in. fs.ErrNotExist if
// the file is missing.
func readMark(fsys persistence.FS, dir string, log messages.LogID) (durableMark, int, error) {
	b, err := readSmall(fsys, filepath.Join(dir, durableName), slotStride+slotBytes)
	if err != nil {
		return durableMark{}, 0, err
	}
	first, ok0 := decodeMark(b, log)
	second, ok1 := decodeMark(b[min(len(b), slotStride):], log)
	switch {
	case ok1 && (!ok0 || second.sequence > first.sequence):
		return second, 1, nil
	case ok0:
		return first, 0, nil
	}
	return durableMark{}, 0, &CorruptError{File: durableName, Reason: "neither slot can be read"}
}

// makeDurable makes the side file of a new log.
func makeDurable(fsys persistence.FS, dir string, log messages.LogID, m durableMark) error {
	return makeFile(fsys, dir, durableName, func(f persistence.File) error {
		b := m.encode(log)
		_, err := f.WriteAt(b, 0)
		_, err2 := f.WriteAt(b, slotStride)
		return errors.Join(err, err2)
	})
}

// durable is the side file. Marks go into one slot until a sync has made it
// durable, then into the other: so one of them is always whole on the disk.
// Callers are the committer, the keeper, Trim and Close.
type durable struct {
	log messages.LogID
	f   persistence.File

	// turn is held by who syncs. Writing a mark never waits for it.
	turn chan struct{}

	mu      sync.Mutex
	mark    durableMark // newest
	slot    int         // where the next one goes
	dirty   bool        // written since the last sync
	syncing bool        // the slot must be left alone
	owed    bool        // mark is to be written when the sync is done
	err     error       // the first one; the file is not touched again
}

// openDurable opens the side file for writing; m and slot are what readMark
// found. The file is synced first: after a kill the newer slot may be in
// memory only, and the other one must not be overwritten before it is safe.
func openDurable(fsys persistence.FS, dir string, log messages.LogID, m durableMark, slot int) (*durable, error) {
	f, err := fsys.OpenWrite(filepath.Join(dir, durableName))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", durableName, err)
	}
	d := &durable{log: log, f: f, turn: make(chan struct{}, 1), mark: m, slot: slot, dirty: true}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// advance notes that the log is durable up to length of segment last.
func (d *durable) advance(last uint64, length int64) error {
	return d.change(func(m *durableMark) { m.last, m.length = last, length })
}

// trim notes in both slots that the segments before first are given up.
func (d *durable) trim(first uint64) error {
	if err := d.change(func(m *durableMark) { m.first = first }); err != nil {
		return err
	}
	return d.settle()
}

// settle makes the mark durable in both slots, so that it survives damage to
// either.
func (d *durable) settle() error {
	for range 2 {
		if err := errors.Join(d.change(func(*durableMark) {}), d.sync()); err != nil {
			return err
		}
	}
	return nil
}

func (d *durable) change(edit func(*durableMark)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(&d.mark)
	if d.syncing {
		d.owed = true
		return d.err
	}
	return d.writeLocked()
}

func (d *durable) writeLocked() error {
	if d.err != nil {
		return d.err
	}
	d.mark.sequence++
	d.dirty = true
	if _, err := d.f.WriteAt(d.mark.encode(d.log), int64(d.slot)*slotStride); err != nil {
		d.err = fmt.Errorf("write %s: %w", durableName, err)
	}
	return d.err
}

// sync makes durable what was written before.
func (d *durable) sync() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if d.err != nil || !d.dirty {
		defer d.mu.Unlock()
		return d.err
	}
	d.syncing = true
	d.mu.Unlock()

	err := d.f.Sync()

	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncing = false
	if err != nil {
		d.err = fmt.Errorf("sync %s: %w", durableName, err)
		return d.err
	}
	d.slot, d.dirty = 1-d.slot, false
	if d.owed {
		d.owed = false
		return d.writeLocked()
	}
	return nil
}

func (d *durable) close() error { return d.f.Close() }
