package node

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/crestdb/crest/persistence"
)

// badDisk is a folder of the operating system with bounded room, whose
// operations fail, or wait, as rule says.
type badDisk struct {
	persistence.OS

	mu    sync.Mutex
	room  int64            // bytes of all files; 0: no bound
	sizes map[string]int64 // of the files
	// rule is asked before each operation that changes something; nil: none fails.
	// It may block.
	rule  func(op, path string) error
	fails int // operations that rule had fail
}

// newBadDisk is a disk with the files that are in dir.
func newBadDisk(dir string, room int64) *badDisk {
	d := &badDisk{room: room, sizes: map[string]int64{}}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				d.sizes[path] = info.Size()
			}
		}
		return nil
	})
	return d
}

// obey sets the rule; nil heals the disk.
func (d *badDisk) obey(rule func(op, path string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rule, d.fails = rule, 0
}

// failing is a rule: an error for some operations on paths with a part.
func failing(err error, ops, part string) func(op, path string) error {
	return func(op, path string) error {
		if strings.Contains(" "+ops+" ", " "+op+" ") && strings.Contains(path, part) {
			return err
		}
		return nil
	}
}

func (d *badDisk) failed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fails
}

func (d *badDisk) do(op, path string) error {
	d.mu.Lock()
	rule := d.rule
	d.mu.Unlock()
	if rule == nil {
		return nil
	}
	err := rule(op, path)
	if err != nil {
		d.mu.Lock()
		d.fails++
		d.mu.Unlock()
		err = &fs.PathError{Op: op, Path: path, Err: err}
	}
	return err
}

func (d *badDisk) free() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.freeLocked()
}

func (d *badDisk) freeLocked() int64 {
	if d.room == 0 {
		return 1 << 50
	}
	n := d.room
	for _, size := range d.sizes {
		n -= size
	}
	return n
}

// setFree makes so much room that n bytes are free.
func (d *badDisk) setFree(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room += n - d.freeLocked()
}

// grow accounts for a file's new length.
func (d *badDisk) grow(path string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if more := size - d.sizes[path]; more > 0 {
		if more > d.freeLocked() {
			d.fails++
			return &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
		}
		d.sizes[path] = size
	}
	return nil
}

func (d *badDisk) MkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	return errors.Join(d.do("mkdir", dir), d.OS.MkdirAll(dir))
}

func (d *badDisk) Create(name string) (persistence.File, error) {
	if err := d.do("create", name); err != nil {
		return nil, err
	}
	f, err := d.OS.Create(name)
	if err == nil {
		d.mu.Lock()
		d.sizes[name] = 0
		d.mu.Unlock()
	}
	return &badFile{f, d, name}, err
}

func (d *badDisk) OpenRead(name string) (persistence.File, error) {
	if err := d.do("read", name); err != nil {
		return nil, err
	}
	return d.OS.OpenRead(name)
}

func (d *badDisk) OpenWrite(name string) (persistence.File, error) {
	if err := d.do("open", name); err != nil {
		return nil, err
	}
	f, err := d.OS.OpenWrite(name)
	return &badFile{f, d, name}, err
}

func (d *badDisk) Rename(from, to string) error {
	if err := d.do("rename", from); err != nil {
		return err
	}
	err := d.OS.Rename(from, to)
	if err == nil {
		d.mu.Lock()
		d.sizes[to] = d.sizes[from]
		delete(d.sizes, from)
		d.mu.Unlock()
	}
	return err
}

func (d *badDisk) Remove(name string) error {
	if err := d.do("remove", name); err != nil {
		return err
	}
	err := d.OS.Remove(name)
	d.mu.Lock()
	delete(d.sizes, name)
	d.mu.Unlock()
	return err
}

func (d *badDisk) SyncDir(dir string) error {
	if err := d.do("syncdir", dir); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

func (d *badDisk) Lock(name string) (io.Closer, error) {
	if err := d.do("lock", name); err != nil {
		return nil, err
	}
	return d.OS.Lock(name)
}

type badFile struct {
	persistence.File
	disk *badDisk
	name string
}

func (f *badFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.do("write", f.name); err != nil {
		return 0, err
	}
	if err := f.disk.grow(f.name, at+int64(len(b))); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f *badFile) Sync() error {
	if err := f.disk.do("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}
