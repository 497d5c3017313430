package persistencetest

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/crestdb/crest/persistence"
)

// FS implements persistence.FS. It stands for what one process sees: Kill and
// PowerLoss end that process and give the file system of the next one.
type FS struct {
	// IgnoreSync makes Sync and SyncDir do nothing: a disk that lies, or a
	// program that forgets to sync. Set it before use.
	IgnoreSync bool
	// IgnoreWrites, if set, makes writes to files it names do nothing.
	IgnoreWrites func(name string) bool
	// SyncDelay, if set, is how long each Sync takes.
	SyncDelay func() time.Duration

	mu    sync.Mutex
	names map[string]*inode // as the process sees them
	// durable is the names that a power loss keeps as they are.
	durable map[string]*inode
	locks   map[string]bool
	rng     *rand.Rand
	ops     int
	fault   Fault
	off     error // why every operation fails, once it does
}

var _ persistence.FS = (*FS)(nil)

// New is an empty file system. The seed draws what failed syncs leave behind.
func New(seed uint64) *FS {
	return &FS{
		names:   map[string]*inode{},
		durable: map[string]*inode{},
		locks:   map[string]bool{},
		rng:     newRand(seed),
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x63726573742d6673)) }

// MkdirAll does nothing: folders are there when a name is in them.
func (f *FS) MkdirAll(string) error { return f.step(opOther, nil) }

// Create makes or empties a file.
func (f *FS) Create(name string) (persistence.File, error) {
	err := f.step(opOther, func() error {
		if n := f.names[name]; n != nil {
			n.truncate()
			return nil
		}
		f.names[name] = newInode()
		return nil
	})
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return f.open(name, true)
}

// OpenRead opens a file for reading.
func (f *FS) OpenRead(name string) (persistence.File, error) { return f.open(name, false) }

// OpenWrite opens an existing file for reading and writing.
func (f *FS) OpenWrite(name string) (persistence.File, error) { return f.open(name, true) }

func (f *FS) open(name string, writable bool) (persistence.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.off
	n := f.names[name]
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{fs: f, node: n, name: name, writable: writable}, nil
}

// Rename replaces to by from.
func (f *FS) Rename(from, to string) error {
	err := f.step(opOther, func() error {
		n := f.names[from]
		if n == nil {
			return fs.ErrNotExist
		}
		f.names[to] = n
		delete(f.names, from)
		return nil
	})
	if err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: err}
	}
	return nil
}

// Remove takes a name away.
func (f *FS) Remove(name string) error {
	err := f.step(opOther, func() error {
		if f.names[name] == nil {
			return fs.ErrNotExist
		}
		delete(f.names, name)
		return nil
	})
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// List is the names in dir, ascending.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: f.off}
	}
	var names []string
	for name := range f.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir makes the names in dir durable.
func (f *FS) SyncDir(dir string) error {
	err := f.step(opSync, func() error {
		if f.IgnoreSync {
			return nil
		}
		f.syncNames(filepath.Clean(dir))
		return nil
	})
	if err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

func (f *FS) syncNames(dir string) {
	for name := range f.durable {
		if filepath.Dir(name) == dir && f.names[name] == nil {
			delete(f.durable, name)
		}
	}
	for name, n := range f.names {
		if filepath.Dir(name) == dir {
			f.durable[name] = n
		}
	}
}

// Lock takes a lock that ends with the process.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: f.off}
	}
	if f.locks[name] {
		return nil, fmt.Errorf("%s is in use", filepath.Dir(name))
	}
	f.locks[name] = true
	return unlock(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.locks, name)
	}), nil
}

type unlock func()

func (u unlock) Close() error {
	u()
	return nil
}
