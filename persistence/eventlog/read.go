package eventlog

import (
	"context"
	"fmt"
	"sort"

	"github.com/crestdb/crest/messages"
)

const defaultBatchBytes = 1 << 20

// Read fills b with durable blocks of partition p, the first being the one that
// holds offset from, and waits for one if there is none yet. It brings up to
// b.MaxBytes of data (a block more at most), and fewer where going on would
// mean to read a file again: whoever wants more reads on from b.Next.
//
// The blocks' bytes are shared by all readers and never change. An error is
// ctx's, wraps messages.ErrStopped if the log was closed, or says that the file
// could not be read; then b is empty.
func (l *Log) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	b.Partition, b.Blocks, b.Next = p, b.Blocks[:0], from
	if int(p) >= l.id.Partitions {
		return fmt.Errorf("read: partition %d: want below %d", p, l.id.Partitions)
	}
	for {
		todo, err := l.readHeld(p, from, b)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		switch {
		case len(b.Blocks) > 0:
			return nil
		case todo.load != nil:
			err = l.awaitLoad(ctx, todo, p, b)
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
			return nil
		}
		select {
		case <-todo.wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// todo is what must happen before a block can be read: wait for one, or load
// the chunk, which is the caller's to do if it is the first to ask.
type todo struct {
	wait  <-chan struct{}
	load  *load
	chunk *chunk
	first bool
	// Where the chunk is; it may grow meanwhile.
	at, size int64
}

// readHeld fills b from chunks in memory, or says what there is to do.
func (l *Log) readHeld(p messages.Partition, from messages.Offset, b *messages.Batch) (todo, error) {
	v := l.view
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return todo{}, errClosed
	case from >= v.ends[p]:
		return todo{wait: v.waitLocked(p)}, nil
	case from < v.segments[0].base[p]:
		return todo{}, fmt.Errorf("offset %d of partition %d was trimmed: the log begins at %d", from, p, v.segments[0].base[p])
	}
	fill := newFiller(b)
	at, more := find(v.segments, p, from), true
	for more && fill.left > 0 && b.Next < v.ends[p] {
		c := v.segments[at.segment].chunks[at.chunk]
		if c.held == nil {
			if len(b.Blocks) > 0 {
				return todo{}, nil
			}
			return l.startLoadLocked(c), nil
		}
		v.cache.touchLocked(c)
		fill.take(c.held.by[p])
		at, more = at.after(v.segments)
	}
	return todo{}, nil
}

// startLoadLocked has the chunk loaded by whoever asks first.
func (l *Log) startLoadLocked(c *chunk) todo {
	t := todo{load: c.load, chunk: c, at: c.at, size: c.size}
	if t.load == nil {
		t.load, t.first = &load{done: make(chan struct{})}, true
		c.load = t.load
	}
	return t
}

// awaitLoad loads the chunk or waits until somebody has, and takes blocks from
// it: at least one, since the offset asked for is in it.
func (l *Log) awaitLoad(ctx context.Context, t todo, p messages.Partition, b *messages.Batch) error {
	if t.first {
		l.finishLoad(t)
	}
	select {
	case <-t.load.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.load.err != nil {
		return t.load.err
	}
	fill := newFiller(b)
	fill.take(t.load.result.by[p])
	return nil
}

// finishLoad reads the chunk, whatever becomes of the reader that asked first:
// others wait for it, and it is one read.
func (l *Log) finishLoad(t todo) {
	result, err := l.loader.read(t.chunk.segment, t.at, t.size)
	v := l.view
	v.mu.Lock()
	defer v.mu.Unlock()
	t.load.result, t.load.err = result, err
	t.chunk.load = nil
	if err == nil {
		l.stats.loads.Add(1)
		l.stats.loadedBytes.Add(t.size)
		t.chunk.held = result
		v.cache.addLocked(t.chunk)
	}
	close(t.load.done)
}

// filler adds blocks to a batch until it has its bytes.
type filler struct {
	b    *messages.Batch
	left int
}

func newFiller(b *messages.Batch) filler {
	if b.MaxBytes <= 0 {
		return filler{b, defaultBatchBytes}
	}
	return filler{b, b.MaxBytes}
}

// take adds the blocks of list from the one that holds b.Next on.
func (f *filler) take(list []messages.ReadBlock) {
	first := sort.Search(len(list), func(i int) bool { return list[i].End > f.b.Next })
	if first < len(list) && list[first].Offset > f.b.Next {
		panic("eventlog: the index leads past a block")
	}
	n := first
	for n < len(list) && f.left > 0 {
		f.left -= len(list[n].Data)
		n++
	}
	if n > first {
		f.b.Blocks = append(f.b.Blocks, list[first:n]...)
		f.b.Next = list[n-1].End
	}
}
