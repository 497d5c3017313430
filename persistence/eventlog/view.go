package eventlog

import (
	"container/list"
	"slices"
	"sync"

	"github.com/crestdb/crest/messages"
)

// view is the durable log as readers see it. The committer adds to it, readers
// look things up; everything is under one lock that is held for copying slice
// headers only, never while a file is read.
type view struct {
	log       messages.LogID
	tailBytes int64
	cache     cache

	mu       sync.Mutex
	segments []*segment // ascending; the last one grows
	ends     []messages.Offset
	frames   uint64 // in the log
	// wake holds, per partition that somebody waits for, a channel that closes
	// with its next block.
	wake []chan struct{}
	// tail is the newest chunks, oldest first, all held.
	tail     list.List
	tailHeld int64 // bytes
	closed   bool
}

func newView(id *messages.LogIdentity, cfg *Config) *view {
	return &view{
		log:       id.ID,
		tailBytes: cfg.TailBytes,
		cache:     cache{limit: cfg.CacheBytes},
		ends:      make([]messages.Offset, id.Partitions),
		wake:      make([]chan struct{}, id.Partitions),
	}
}

// addSegment makes s the segment that grows.
func (v *view) addSegment(s *segment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.segments = append(v.segments, s)
}

// publish makes the frames of parts, which are durable now, readable. Each part
// is whole frames, already checksummed.
func (v *view) publish(parts [][]byte) (frames int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.segments[len(v.segments)-1]
	var f frame
	for _, part := range parts {
		for len(part) > 0 {
			n := le.Uint32(part)
			if err := f.decode(part[:n:n], len(v.ends)); err != nil {
				panic("eventlog: wrote a frame that cannot be read: " + err.Error())
			}
			v.publishLocked(s, &f)
			part = part[n:]
			frames++
		}
	}
	v.frames += uint64(frames)
	v.shrinkTailLocked()
	return frames
}

func (v *view) publishLocked(s *segment, f *frame) {
	c := s.grow(int64(len(f.raw)), v.ends)
	if c.held == nil {
		c.held = newBlockLists(len(v.ends))
		v.tail.PushBack(c)
		v.tailHeld += c.held.bytes
	}
	v.tailHeld -= c.held.bytes
	c.held.add(f, v.log)
	v.tailHeld += c.held.bytes
	for b := range f.blocks() {
		v.ends[b.partition] = b.end()
		if w := v.wake[b.partition]; w != nil {
			close(w)
			v.wake[b.partition] = nil
		}
	}
}

// shrinkTailLocked lets go of the oldest chunks of the tail, never of the one
// that grows.
func (v *view) shrinkTailLocked() {
	for v.tailHeld > v.tailBytes && v.tail.Len() > 1 {
		c := v.tail.Remove(v.tail.Front()).(*chunk)
		v.tailHeld -= c.held.bytes
		c.held = nil
	}
}

// waitLocked is a channel that closes when partition p gets a block, or the
// log is closed.
func (v *view) waitLocked(p messages.Partition) <-chan struct{} {
	if v.wake[p] == nil {
		v.wake[p] = make(chan struct{})
	}
	return v.wake[p]
}

// close wakes all who wait; they find the view closed.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for p, w := range v.wake {
		if w != nil {
			close(w)
			v.wake[p] = nil
		}
	}
}

// dropBefore lets go of the segments before number first and returns the
// numbers of those it dropped.
func (v *view) dropBefore(first uint64) []uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := slices.IndexFunc(v.segments, func(s *segment) bool { return s.number >= first })
	var dropped []uint64
	for _, s := range v.segments[:n] {
		dropped = append(dropped, s.number)
		for _, c := range s.chunks {
			v.cache.dropLocked(c)
		}
	}
	for e := v.tail.Front(); e != nil; {
		following := e.Next()
		if c := e.Value.(*chunk); c.segment.number < first {
			v.tail.Remove(e)
			v.tailHeld -= c.held.bytes
			c.held = nil
		}
		e = following
	}
	v.segments = slices.Delete(v.segments, 0, n)
	return dropped
}
