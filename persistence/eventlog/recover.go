package eventlog

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// recover checks every durable frame, builds the index, and moves what is
// valid behind the last durable byte into a new segment.
func (l *Log) recover(c *chain) error {
	for i := range c.links {
		if err := l.scan(&c.links[i]); err != nil {
			return err
		}
	}
	last := &c.links[len(c.links)-1]
	if last.size == last.bound {
		return nil
	}
	t, err := l.findTail(last)
	if err != nil {
		return err
	}
	l.cfg.Logger.Info("found bytes behind the last durable one: whole frames are kept, the rest is an unfinished write",
		"file", last.name(), "byte", last.bound, "frames", t.frames, "kept", t.bytes, "dropped", last.size-last.bound-t.bytes)
	if err := l.moveTail(last, t); err != nil {
		return err
	}
	// What was moved is durable now, so it is checked and indexed like the rest.
	moved := link{number: last.number + 1, head: t.head, size: t.head.synced, bound: t.head.synced}
	return l.scan(&moved)
}

// scan adds a segment to the view, checking all that is durable of it.
func (l *Log) scan(k *link) error {
	h := k.head
	if !slices.Equal(h.base, l.view.ends) {
		if len(l.view.segments) > 0 {
			return &CorruptError{File: k.name(), Byte: segmentFixed, Reason: "its first offsets do not continue the segment before"}
		}
		copy(l.view.ends, h.base)
	}
	l.stamp.Store(max(l.stamp.Load(), int64(h.stamp)))
	w, err := l.walk(k)
	if err != nil {
		return err
	}
	defer w.f.Close()
	s := newSegment(h, w.at)
	l.view.segments = append(l.view.segments, s)
	for {
		at := w.at
		f, err := w.next()
		if err == io.EOF {
			s.closeChunk()
			return nil
		}
		if err == nil {
			s.grow(int64(len(f.raw)), l.view.ends)
			err = f.follow(l.view.ends)
		}
		if damaged(err) {
			return &CorruptError{File: k.name(), Byte: at, Reason: err.Error()}
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", k.name(), err)
		}
		l.view.frames++
		l.stamp.Store(max(l.stamp.Load(), int64(f.stamp)))
	}
}

// walk is a walker over the durable frames of a segment.
func (l *Log) walk(k *link) (*walker, error) {
	f, err := l.cfg.FS.OpenRead(filepath.Join(l.cfg.Dir, k.name()))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k.name(), err)
	}
	return &walker{f: f, seed: k.head.seed, partitions: l.id.Partitions, at: headerSize(l.id.Partitions), limit: k.bound}, nil
}

// tail is what is valid behind the last durable byte.
type tail struct {
	frames int
	bytes  int64
	head   *header // of the segment it moves into
}

// findTail walks behind the last durable byte of the last segment up to the
// first frame that is not whole or does not follow.
func (l *Log) findTail(last *link) (*tail, error) {
	w, err := l.walk(last)
	if err != nil {
		return nil, err
	}
	defer w.f.Close()
	w.at, w.limit = last.bound, last.size
	t := &tail{}
	next := slices.Clone(l.view.ends)
	for {
		f, err := w.next()
		if err == nil {
			err = f.follow(next)
		}
		if err == io.EOF || damaged(err) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", last.name(), err)
		}
		t.frames++
		t.bytes += int64(len(f.raw))
	}
}

// moveTail copies the tail into a new segment, which is durable before it can
// be seen, and begins where the old one's durable bytes end. Until then the old
// one is untouched: a crash in between repeats all of this.
func (l *Log) moveTail(last *link, t *tail) error {
	start := headerSize(l.id.Partitions)
	t.head = &header{
		log:         l.id.ID,
		number:      last.number + 1,
		previousEnd: last.bound,
		synced:      start + t.bytes,
		stamp:       messages.Micros(l.stamp.Load()),
		base:        slices.Clone(l.view.ends),
	}
	return makeSegment(l.cfg.FS, l.cfg.Dir, t.head, func(to persistence.File) error {
		w, err := l.walk(last)
		if err != nil {
			return err
		}
		defer w.f.Close()
		w.at, w.limit = last.bound, last.bound+t.bytes
		for at := start; ; {
			f, err := w.next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("copy from %s: %w", last.name(), err)
			}
			sealFrame(f.raw, t.head.seed)
			if _, err := to.WriteAt(f.raw, at); err != nil {
				return err
			}
			at += int64(len(f.raw))
		}
	})
}
