package eventlog

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/crestdb/crest/messages"
)

// commitLoop is the committer: the only goroutine that writes segments.
func (l *Log) commitLoop() {
	for {
		select {
		case <-l.poke:
			l.commitPending()
		case <-l.closing:
			l.commitPending() // Close let nobody in after this one
			return
		}
	}
}

// commitPending takes the pending group and makes it durable.
func (l *Log) commitPending() {
	l.mu.Lock()
	g, err := l.pending, l.failed
	if g.bytes == 0 {
		l.mu.Unlock()
		return
	}
	l.pending = newGroup()
	l.mu.Unlock()
	close(g.taken)

	if err == nil {
		if err = l.commit(g); err != nil {
			err = l.fail(err)
		}
	}
	l.stats.pending.Add(-g.bytes)
	g.err = err
	close(g.done)
}

// commit makes a group durable, then readable. After an error nothing of it
// counts as written, though some of it may be found at the next Open.
func (l *Log) commit(g *group) error {
	if err := l.makeRoom(g.bytes); err != nil {
		return err
	}
	for _, part := range g.parts {
		for rest := part; len(rest) > 0; {
			n := le.Uint32(rest)
			sealFrame(rest[:n], l.active.seed)
			rest = rest[n:]
		}
	}
	at := l.active.size
	for _, part := range g.parts {
		if _, err := l.file.WriteAt(part, at); err != nil {
			return fmt.Errorf("write %s: %w", segmentName(l.active.number), err)
		}
		at += int64(len(part))
	}
	start := time.Now()
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", segmentName(l.active.number), err)
	}
	l.stats.synced(time.Since(start), g.bytes)

	// The group is durable: from here on it is acknowledged, whatever else
	// happens. Without the mark the next Open finds it above the last one.
	if err := l.marks.advance(l.active.number, at); err != nil {
		_ = l.fail(err)
	}
	l.stamp.Store(max(l.stamp.Load(), int64(g.stamp)))
	l.view.publish(g.parts)
	l.measure(g.bytes)
	return nil
}

// makeRoom begins a new segment if the active one has frames and n bytes more
// would make it too long.
func (l *Log) makeRoom(n int64) error {
	if l.active.size+n <= l.cfg.SegmentBytes || l.active.size == headerSize(l.id.Partitions) {
		return nil
	}
	// The mark need not be synced first: the new segment's header proves the
	// old one durable up to its end.
	h := &header{
		log:         l.id.ID,
		number:      l.active.number + 1,
		previousEnd: l.active.size,
		synced:      headerSize(l.id.Partitions),
		stamp:       messages.Micros(l.stamp.Load()),
		base:        slices.Clone(l.view.ends), // only the committer changes them
	}
	if err := makeSegment(l.cfg.FS, l.cfg.Dir, h, nil); err != nil {
		return err
	}
	if err := l.closeFile(); err != nil {
		return err
	}
	s := newSegment(h, h.synced)
	l.view.addSegment(s)
	return l.activate(s)
}

// activate opens s, the last segment, for writing and notes how far it is
// durable.
func (l *Log) activate(s *segment) error {
	f, err := l.cfg.FS.OpenWrite(filepath.Join(l.cfg.Dir, segmentName(s.number)))
	if err != nil {
		return fmt.Errorf("open %s: %w", segmentName(s.number), err)
	}
	l.active, l.file = s, f
	return l.marks.advance(s.number, s.size)
}

// closeFile closes the active segment's file, if one is open.
func (l *Log) closeFile() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", segmentName(l.active.number), err)
	}
	return nil
}
