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
	// dirty is, per block written since the last sync, the contents it had in
	// between: any of them, or the live ones, may be on the disk.
	dirty map[int][][]byte
}

func newInode() *inode { return &inode{dirty: map[int][][]byte{}} }

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
	n.live, n.dirty = nil, map[int][][]byte{}
}

// sync brings dirty blocks to the disk. Blocks that a failed sync has left
// behind are not dirty any more and stay as they are there.
func (n *inode) sync() {
	n.resize(len(n.live))
	for i := range n.dirty {
		copy(n.disk[min(len(n.disk), i*blockBytes):], n.block(n.live, i))
	}
	clear(n.dirty)
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
			f.node.sync()
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
