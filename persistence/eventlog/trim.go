package eventlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/crestdb/crest/messages"
)

// Trim gives up the oldest segments as long as everything in them is below pos
// in every partition; the one that is written stays. pos has one entry per
// partition. Reading below the new beginning is an error from then on.
func (l *Log) Trim(pos messages.Position) error {
	if len(pos) != l.id.Partitions {
		return fmt.Errorf("trim: position of %d partitions: want %d", len(pos), l.id.Partitions)
	}
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if l.isClosed() {
		return fmt.Errorf("trim: %w", errClosed)
	}
	first, some := l.view.firstNeeded(pos)
	if !some {
		return nil
	}
	// The mark goes first: a missing segment that it does not give up is
	// damage.
	if err := l.marks.trim(first); err != nil {
		return fmt.Errorf("trim: %w", l.fail(err))
	}
	l.view.dropBefore(first)
	if err := l.removeTrimmed(first); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// Begins fills pos, one entry per partition, with the offsets that the log begins
// at: what lies below was trimmed, or never in it.
func (l *Log) Begins(pos messages.Position) {
	l.view.mu.Lock()
	defer l.view.mu.Unlock()
	copy(pos, l.view.segments[0].base)
}

// Older fills pos, one entry per partition, with the end of the segments that
// hold nothing stamped at or after a moment.
func (l *Log) Older(than messages.Micros, pos messages.Position) {
	v := l.view
	v.mu.Lock()
	defer v.mu.Unlock()
	k := 0
	for k+1 < len(v.segments) && v.segments[k+1].stamp < than {
		k++
	}
	copy(pos, v.segments[k].base)
}

// firstNeeded is the first segment that holds anything at or above pos, and
// whether there are any before it.
func (v *view) firstNeeded(pos messages.Position) (number uint64, some bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := 0
	for k+1 < len(v.segments) && pos.Covers(v.segments[k+1].base) {
		k++
	}
	return v.segments[k].number, k > 0
}

// removeTrimmed removes the files of segments before first. What it does not
// come to remove the next call does.
func (l *Log) removeTrimmed(first uint64) error {
	numbers, err := listSegments(l.cfg.FS, l.cfg.Dir)
	if err != nil {
		return err
	}
	removed := false
	for _, n := range numbers {
		if n >= first {
			break
		}
		if err := l.cfg.FS.Remove(filepath.Join(l.cfg.Dir, segmentName(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", segmentName(n), err)
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return l.cfg.FS.SyncDir(l.cfg.Dir)
}
