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
// first error, which is fn's or says where the log is damaged. It needs no
// lock: the log may be in use.
func Scan(fsys persistence.FS, dir string, fn func(FrameInfo) error) error {
	c, err := survey(fsys, dir)
	if err != nil {
		return fmt.Errorf("scan log: %w", err)
	}
	if len(c.damage) > 0 {
		return fmt.Errorf("scan log: %w", c.damage[0])
	}
	next := slices.Clone(c.links[0].head.base)
	for i := range c.links {
		s := frameScan{fs: fsys, dir: dir, chain: c, link: &c.links[i], next: next, fn: fn}
		if err := s.run(i == len(c.links)-1); err != nil {
			return fmt.Errorf("scan log: %w", err)
		}
	}
	return nil
}

// frameScan goes through the frames of one segment.
type frameScan struct {
	fs    persistence.FS
	dir   string
	chain *chain
	link  *link
	next  []messages.Offset // moved on by every frame
	fn    func(FrameInfo) error

	info FrameInfo
	// end is where the last valid frame ends.
	end int64
}

// run goes through the durable frames, and in the last segment through those
// behind them.
func (s *frameScan) run(last bool) error {
	f, err := s.fs.OpenRead(filepath.Join(s.dir, s.link.name()))
	if err != nil {
		return err
	}
	defer f.Close()
	w := &walker{f: f, seed: s.link.head.seed, partitions: s.chain.id.Partitions,
		at: headerSize(s.chain.id.Partitions), limit: s.link.bound}
	s.info.Durable = true
	err = s.frames(w)
	if damaged(err) {
		return &CorruptError{File: s.link.name(), Byte: s.end, Reason: err.Error()}
	}
	if err != nil || !last {
		return err
	}
	w.limit, s.info.Durable = s.link.size, false
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
		s.info.File, s.info.Byte, s.info.Size = s.link.name(), s.end, len(f.raw)
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
