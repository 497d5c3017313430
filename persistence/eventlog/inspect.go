package eventlog

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// FrameInfo is one frame as Scan shows it. Blocks and their data are valid
// during the call only.
type FrameInfo struct {
	File string // segment's base name
	Byte int64  // where the frame begins
	Size int
	// Durable is false for whole frames behind the last durable byte: nobody
	// was told that they are in the log, and the next Open keeps them.
	Durable  bool
	Kind     messages.FrameKind
	Stamp    messages.Micros
	Key      string
	BodyHash messages.BodyHash
	Blocks   []BlockInfo
}

// BlockInfo is one block of a frame.
type BlockInfo struct {
	Partition messages.Partition
	Offset    messages.Offset
	Records   uint32
	Data      []byte
}

// Scan calls fn for every frame of the log in dir, in order, and stops at the
// first error: fn's, or a *CorruptError where the log is damaged. It needs no
// lock: the log may be in use.
func Scan(fsys persistence.FS, dir string, fn func(FrameInfo) error) error {
	c, err := survey(fsys, dir)
	if err != nil {
		return fmt.Errorf("scan log: %w", err)
	}
	s := newFrameScan(fsys, dir, c, fn)
	for i := range c.links {
		if err := s.segment(i); err != nil {
			return fmt.Errorf("scan log: %w", err)
		}
	}
	if len(c.damage) > 0 {
		return fmt.Errorf("scan log: %w", c.damage[0])
	}
	return nil
}

// frameScan goes through the frames of a chain.
type frameScan struct {
	fs    persistence.FS
	dir   string
	chain *chain
	fn    func(FrameInfo) error
	// next is every partition's next offset: as far as frames could be read.
	next []messages.Offset
	// end is where in the segment the last valid frame ends.
	end  int64
	info FrameInfo
}

func newFrameScan(fsys persistence.FS, dir string, c *chain, fn func(FrameInfo) error) *frameScan {
	s := &frameScan{fs: fsys, dir: dir, chain: c, fn: fn, next: make([]messages.Offset, c.id.Partitions)}
	if len(c.links) > 0 && c.links[0].head != nil {
		copy(s.next, c.links[0].head.base)
	}
	return s
}

// segment goes through the durable frames of the i-th segment, and in the last
// one through those behind them.
func (s *frameScan) segment(i int) error {
	k := &s.chain.links[i]
	if k.head == nil {
		return s.chain.damageOf(k.name())
	}
	if !slices.Equal(s.next, k.head.base) {
		return &CorruptError{File: k.name(), Byte: segmentFixed, Reason: "its first offsets do not continue the segment before"}
	}
	f, err := s.fs.OpenRead(filepath.Join(s.dir, k.name()))
	if err != nil {
		return err
	}
	defer f.Close()
	w := &walker{f: f, seed: k.head.seed, partitions: len(s.next), at: headerSize(len(s.next)), limit: k.bound}
	s.info.File, s.info.Durable = k.name(), true
	err = s.frames(w)
	if damaged(err) {
		return &CorruptError{File: k.name(), Byte: s.end, Reason: err.Error()}
	}
	if err != nil || i < len(s.chain.links)-1 {
		return err
	}
	w.limit, s.info.Durable = max(k.size, k.bound), false
	if err = s.frames(w); damaged(err) {
		return nil
	}
	return err
}

func (s *frameScan) frames(w *walker) error {
	for {
		s.end = w.at
		f, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.follow(s.next)
		}
		if err != nil {
			return err
		}
		s.info.Byte, s.info.Size = s.end, len(f.raw)
		s.info.Kind, s.info.Stamp, s.info.Key, s.info.BodyHash = f.kind, f.stamp, string(f.key), f.hash
		s.info.Blocks = s.info.Blocks[:0]
		for b := range f.blocks() {
			s.info.Blocks = append(s.info.Blocks, BlockInfo{b.partition, b.offset, b.records, b.data})
		}
		if err := s.fn(s.info); err != nil {
			return err
		}
	}
}
