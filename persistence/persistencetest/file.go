package persistencetest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"
)

const (
	blockBytes  = 4096
	sectorBytes = 512
	// maxVersions bounds how many former contents of an unsynced block are
	// remembered.
	maxVersions = 4
)

// inode is a file's contents, apart from its names.
type inode struct {
	live []byte // as processes see it
	disk []byte // as a power loss leaves it for sure
	// dirty is, per block written since the last sync began, the contents it
	// had in between: any of them, or the live ones, may be on the disk.
	dirty map[int][][]byte
	// flushes are the syncs under way, oldest first.
	flushes []*flush
}

// flush is a sync under way: what it brings to the disk is what was there when
// it began.
type flush struct {
	size   int
	blocks map[int][][]byte // former contents and, last, the ones to be written
}

func newInode() *inode { return &inode{dirty: map[int][][]byte{}} }

// settled is a file with nothing unsynced.
func settled(data []byte) *inode {
	n := newInode()
	n.live, n.disk = data, slices.Clone(data)
	return n
}

func (n *inode) block(data []byte, i int) []byte {
	from := min(len(data), i*blockBytes)
	return data[from:min(len(data), from+blockBytes)]
}

func (n *inode) write(p []byte, at int64) {
	if len(p) == 0 {
		return
	}
	end := int(at) + len(p)
	for i := int(at) / blockBytes; i <= (end-1)/blockBytes; i++ {
		versions, was := n.dirty[i]
		if was {
			versions = append(versions, slices.Clone(n.block(n.live, i)))
			versions = versions[max(0, len(versions)-maxVersions):]
		}
		n.dirty[i] = versions
	}
	if end > len(n.live) {
		n.live = append(n.live, make([]byte, end-len(n.live))...)
	}
	copy(n.live[at:], p)
}

func (n *inode) truncate() {
	n.live, n.dirty, n.flushes = nil, map[int][][]byte{}, nil
}

// beginSync notes what a sync is to bring to the disk.
func (n *inode) beginSync() *flush {
	s := &flush{size: len(n.live), blocks: n.dirty}
	for i, versions := range s.blocks {
		s.blocks[i] = append(versions, slices.Clone(n.block(n.live, i)))
	}
	n.dirty = map[int][][]byte{}
	n.flushes = append(n.flushes, s)
	return s
}

// endSync brings it there, and what earlier syncs were to bring before it.
// Blocks that a failed sync has left behind are in none: they stay as they are
// on the disk.
func (n *inode) endSync(s *flush) {
	for k := slices.Index(n.flushes, s) + 1; k > 0; k-- {
		first := n.flushes[0]
		n.flushes = n.flushes[1:]
		n.resize(first.size)
		for i, versions := range first.blocks {
			copy(n.disk[min(len(n.disk), i*blockBytes):], versions[len(versions)-1])
		}
	}
}

func (n *inode) resize(size int) {
	if size > len(n.disk) {
		n.disk = append(n.disk, make([]byte, size-len(n.disk))...)
	}
	n.disk = n.disk[:size]
}

// file is an open file.
type file struct {
	fs       *FS
	node     *inode
	name     string
	writable bool
	closed   bool // under fs.mu
}

func (f *file) fail(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usable(); err != nil {
		return 0, f.fail("read", err)
	}
	if at >= int64(len(f.node.live)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.live[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) usable() error {
	if f.closed {
		return fs.ErrClosed
	}
	return f.fs.off
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	written := 0
	err := f.fs.step(opWrite, func() error {
		if f.closed || !f.writable {
			return fs.ErrClosed
		}
		written = len(p)
		if f.fs.failing() && f.fs.fault.Short {
			written /= 2
		}
		if f.fs.IgnoreWrites == nil || !f.fs.IgnoreWrites(f.name) {
			f.node.write(p[:written], at)
		}
		return nil
	})
	if err != nil {
		return written, f.fail("write", err)
	}
	return written, nil
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	under := f.node.beginSync()
	f.fs.mu.Unlock()
	if f.fs.SyncDelay != nil {
		time.Sleep(f.fs.SyncDelay())
	}
	return f.fail("sync", f.fs.step(opSync, func() error {
		switch {
		case f.closed:
			return fs.ErrClosed
		case f.fs.failing():
			f.fs.loseSome(f.node)
		case !f.fs.IgnoreSync:
			f.node.endSync(under)
		}
		return nil
	}))
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usable(); err != nil {
		return 0, f.fail("size", err)
	}
	return int64(len(f.node.live)), nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}
