package snapshot

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// partReader is the messages.PartReader of one root. It belongs to one
// goroutine. Objects are read ahead in the order in which they were written, a
// few at a time, and checked before a byte of them is handed out.
type partReader struct {
	place *place
	root  *root
	first map[*part]int // place of a part's first object in line
	line  []*object     // the objects of all parts
	good  []*part       // read to their ends, and right
	err   error         // the first that was not the caller's own

	outer  context.Context
	ctx    context.Context // of what is being read ahead
	cancel context.CancelFunc
	ahead  []chan fetched // objects from, from+1, …
	from   int
	under  sync.WaitGroup
	free   chan []byte // buffers to use again
}

type fetched struct {
	raw []byte
	err error
}

func newPartReader(ctx context.Context, p *place, r *root) *partReader {
	d := &partReader{place: p, root: r, first: map[*part]int{}, outer: ctx, free: make(chan []byte, p.inFlight+1)}
	for _, part := range r.Parts {
		d.first[part] = len(d.line)
		d.line = append(d.line, part.Objects...)
	}
	d.ctx, d.cancel = context.WithCancel(ctx)
	return d
}

// close ends what is being read ahead.
func (d *partReader) close() {
	d.cancel()
	d.under.Wait()
	d.ahead = nil
}

func (d *partReader) Names() []string {
	names := make([]string, len(d.root.Parts))
	for i, part := range d.root.Parts {
		names[i] = part.Name
	}
	return names
}

func (d *partReader) Part(name string, read func(io.Reader) error) error {
	part := d.root.part(name)
	if part == nil {
		return fmt.Errorf("the snapshot has no part %q", name)
	}
	s := &partSource{d: d, part: part}
	err := read(s)
	if err == nil && s.err == nil && len(s.rest) == 0 && s.next == len(part.Objects) {
		s.advance() // it has read all without asking what comes next
	}
	d.recycle(s.raw)
	if s.err != nil && s.err != io.EOF {
		if d.err == nil {
			d.err = fmt.Errorf("part %q: %w", name, s.err)
		}
		return fmt.Errorf("part %q: %w", name, s.err)
	}
	if s.err == io.EOF {
		d.good = append(d.good, part)
	}
	return err
}

// take is the i-th object's raw bytes.
func (d *partReader) take(i int) ([]byte, error) {
	if i < d.from || i > d.from+len(d.ahead) {
		// Out of order: what was read ahead is of no use.
		d.close()
		d.ctx, d.cancel = context.WithCancel(d.outer)
		d.from = i
	}
	for ; d.from < i; d.from++ {
		d.recycle((<-d.ahead[0]).raw)
		d.ahead = d.ahead[1:]
	}
	for d.from+len(d.ahead) < len(d.line) && len(d.ahead) < d.place.inFlight {
		d.start(d.line[d.from+len(d.ahead)])
	}
	f := <-d.ahead[0] // ends when the store answers, or with the context
	d.ahead, d.from = d.ahead[1:], d.from+1
	return f.raw, f.err
}

func (d *partReader) start(o *object) {
	c, ctx := make(chan fetched, 1), d.ctx
	d.ahead = append(d.ahead, c)
	d.under.Go(func() {
		var buf []byte
		select {
		case buf = <-d.free:
		default:
		}
		raw, err := d.place.object(ctx, buf, o)
		c <- fetched{raw, err}
	})
}

func (d *partReader) recycle(raw []byte) {
	if raw == nil {
		return
	}
	select {
	case d.free <- raw:
	default:
	}
}

// partSource is the bytes of one part.
type partSource struct {
	d    *partReader
	part *part
	next int // object
	raw  []byte
	rest []byte // of raw, not read yet
	size int64  // of the objects so far
	crc  uint32
	err  error // sticky; io.EOF once all has been read and is right
}

func (s *partSource) Read(b []byte) (int, error) {
	for len(s.rest) == 0 && s.err == nil {
		s.advance()
	}
	if s.err != nil {
		return 0, s.err
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// advance goes on to the next object, or finds that there is none.
func (s *partSource) advance() {
	if s.next == len(s.part.Objects) {
		s.err = io.EOF
		if s.size != s.part.Raw || s.crc != s.part.CRC {
			s.err = s.d.place.damage(s.d.root.Key, errNotThose)
		}
		return
	}
	s.d.recycle(s.raw)
	s.raw = nil
	raw, err := s.d.take(s.d.first[s.part] + s.next)
	if err != nil {
		s.err = err
		return
	}
	s.next++
	s.raw, s.rest = raw, raw
	s.size += int64(len(raw))
	s.crc = crc32.Update(s.crc, castagnoli, raw)
}
