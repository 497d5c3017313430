package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/messages"
)

// Save stores a snapshot: the parts that write writes, called once and in this
// goroutine. When it returns nil the snapshot is durable, and the first that
// Load will read. When it returns an error it is not, or (the answer to the
// last put was lost) it is and nobody may count on it; ErrFenced: the caller is
// not the owner any more.
//
// An error of the PartWriter fails the Save, whatever write returns.
func (p *Partition) Save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	return p.wrap("save snapshot", p.save(ctx, info, write))
}

func (p *Partition) save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	if info.Partition != p.id.Partition {
		return fmt.Errorf("it is of partition %d", info.Partition)
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	parts, err := p.writeParts(ctx, write)
	if err != nil {
		return err
	}
	cfg := &p.store.cfg
	r := &root{
		identity: p.id, Key: p.nextName(rootKind).String(), Owner: cfg.Owner,
		Offset: info.Offset, Arrival: info.Arrival, Format: info.Format, Saved: cfg.stamp(), Parts: parts,
	}
	encoded, err := r.encode()
	if err == nil && len(encoded) > maxRoot {
		err = fmt.Errorf("its list of parts has %d bytes", len(encoded))
	}
	if err == nil {
		err = p.store.put(ctx, p.place.key(r.Key), encoded)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.roots[r.Key] = r
	p.mu.Unlock()
	err = p.change(ctx, r, func(m *manifest) {
		m.Roots = keepEntries(r.entry(encoded), m.Roots, cfg.KeepRoots)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.base = r
	p.forgetRootsLocked()
	p.mu.Unlock()
	return nil
}

// forgetRootsLocked drops what is remembered of roots that are not named any
// more and cannot be again.
func (p *Partition) forgetRootsLocked() {
	named := map[string]bool{}
	for _, e := range p.manifest.Roots {
		named[e.Key] = true
	}
	for _, r := range p.doubt {
		named[r.Key] = true
	}
	for key := range p.roots {
		if !named[key] {
			delete(p.roots, key)
		}
	}
}

// writeParts stores the parts of a snapshot. It returns when nothing is being
// written any more.
func (p *Partition) writeParts(ctx context.Context, write func(messages.PartWriter) error) ([]*part, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	base := p.base
	p.mu.Unlock()
	w := &partWriter{partition: p, base: base, names: map[string]bool{}}
	w.group, w.ctx = errgroup.WithContext(ctx)
	n := p.store.cfg.InFlight
	w.free = make(chan *buffers, n+1)
	for range n + 1 {
		w.free <- &buffers{}
	}
	done := false
	defer func() {
		if !done { // write has panicked
			cancel()
			_ = w.group.Wait()
		}
	}()
	err := write(w)
	done = true
	if err != nil {
		cancel()
	}
	// What failed first is what the caller wants to read.
	return w.parts, firstOf(w.err, err, w.group.Wait())
}

// firstOf is the error that says most: a real one before the cancellation that
// it has caused elsewhere.
func firstOf(errs ...error) error {
	var first error
	for _, err := range errs {
		if first == nil || errors.Is(first, context.Canceled) && err != nil {
			first = err
		}
	}
	return first
}

// partWriter is the messages.PartWriter of one Save. It belongs to the
// goroutine that writes; objects are compressed and stored beside it.
type partWriter struct {
	partition *Partition
	base      *root
	group     *errgroup.Group
	ctx       context.Context // of the group
	free      chan *buffers   // bounds what is in flight
	parts     []*part
	names     map[string]bool
	err       error // the first; the Save has failed then
}

// buffers are for one object on its way.
type buffers struct{ raw, stored []byte }

func (w *partWriter) Part(name string, write func(io.Writer) error) error {
	if err := w.begin(name); err != nil {
		return err
	}
	s := &partStream{w: w, part: &part{Name: name, Objects: []*object{}}}
	err := write(s)
	if err == nil {
		err = s.flush()
	}
	if s.buf != nil {
		w.free <- s.buf
	}
	if err != nil {
		return w.fail(fmt.Errorf("part %q: %w", name, err))
	}
	w.parts = append(w.parts, s.part)
	return nil
}

func (w *partWriter) Shared(name string, write func(io.Writer) error) error {
	if w.base != nil {
		if shared := w.base.part(name); shared != nil {
			if err := w.begin(name); err != nil {
				return err
			}
			w.parts = append(w.parts, shared)
			return nil
		}
	}
	return w.Part(name, write)
}

func (w *partWriter) begin(name string) error {
	err := w.err
	if err == nil {
		err = checkPartName(name)
	}
	if err == nil && w.names[name] {
		err = fmt.Errorf("part %q is there already", name)
	}
	w.names[name] = true
	return w.fail(err)
}

func (w *partWriter) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// partStream cuts a part into objects.
type partStream struct {
	w    *partWriter
	part *part
	buf  *buffers // nil between objects
}

func (s *partStream) Write(b []byte) (int, error) {
	limit := s.w.partition.store.cfg.ObjectBytes
	for n := 0; n < len(b); {
		if s.buf == nil {
			select {
			case s.buf = <-s.w.free:
				s.buf.raw = s.buf.raw[:0]
			case <-s.w.ctx.Done():
				return n, context.Cause(s.w.ctx)
			}
		}
		k := min(len(b)-n, limit-len(s.buf.raw))
		s.buf.raw = append(s.buf.raw, b[n:n+k]...)
		n += k
		if len(s.buf.raw) == limit {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
	}
	return len(b), nil
}

// flush sends what is in the buffer on its way.
func (s *partStream) flush() error {
	if err := context.Cause(s.w.ctx); err != nil {
		return err
	}
	if s.buf == nil {
		return nil
	}
	w, buf, o := s.w, s.buf, &object{}
	s.buf = nil
	s.part.Objects = append(s.part.Objects, o)
	s.part.Raw += int64(len(buf.raw))
	s.part.CRC = crc32.Update(s.part.CRC, castagnoli, buf.raw)
	name := w.partition.nextName(partKind)
	w.group.Go(func() error {
		defer func() { w.free <- buf }()
		store, place := w.partition.store, &w.partition.place
		id := objectID{hexID(place.log), place.partition, name}
		buf.stored, o.CRC = encodeObject(buf.stored, id, buf.raw, store.enc)
		o.Key, o.Size = name.String(), int64(len(buf.stored))
		return store.put(w.ctx, place.key(o.Key), buf.stored)
	})
	return nil
}
