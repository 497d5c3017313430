package objectstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/crestdb/crest/persistence"
)

const (
	objectsName = "objects" // the folder of the objects
	tempsName   = "tmp"     // the folder of what is being written
	lockName    = "lock"    // held for every change
	aliveSuffix = ".lock"   // held by whoever writes temporaries of that name

	// lockPatience is how long a change waits for other processes' changes, each
	// of which takes as long as a rename and a sync of the folder.
	lockPatience = 10 * time.Second
)

// Directory is a Store in a folder of a file system. FORMAT.md says what is in
// it. Several processes may have one open: changes take turns by a lock file,
// so conditional puts hold among them too. What another process has just put
// may be read a moment before it is durable; a conditional put, done or
// refused, makes all that it has seen durable first.
type Directory struct {
	fs   persistence.FS
	root string
	// id is the name of this opening's temporaries. As long as it has the lock
	// alive, nobody takes them for leftovers.
	id    string
	alive io.Closer
	temps atomic.Uint64 // number of temporaries so far

	turn chan struct{} // has one element while a change of this process is under way

	// mu is held for writing from a change of the folder to the end of its sync:
	// nobody in this process reads what a power loss may take back.
	mu       sync.RWMutex
	unsynced bool // that sync failed: it is due before anything else
}

var _ Store = (*Directory)(nil)

// Dir opens the store in a folder, which is made if need be, and removes what
// crashes have left of puts. A nil fsys is the operating system's.
func Dir(fsys persistence.FS, root string) (*Directory, error) {
	if fsys == nil {
		fsys = persistence.OS{}
	}
	d := &Directory{fs: fsys, root: filepath.Clean(root), turn: make(chan struct{}, 1)}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	d.id = hex.EncodeToString(id[:])
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", d.root, err)
	}
	return d, nil
}

func (d *Directory) open() error {
	for _, dir := range []string{d.folder(objectsName), d.folder(tempsName)} {
		if err := d.fs.MkdirAll(dir); err != nil {
			return err
		}
	}
	unlock, err := d.lock(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	if d.alive, err = d.fs.Lock(filepath.Join(d.folder(tempsName), d.id+aliveSuffix)); err != nil {
		return err
	}
	if err := d.clean(); err != nil {
		return errors.Join(err, d.alive.Close())
	}
	// A process that was killed between its rename and its sync has left what
	// everybody sees and a power loss may take back.
	if err := d.fs.SyncDir(d.folder(objectsName)); err != nil {
		return errors.Join(err, d.alive.Close())
	}
	return nil
}

// clean removes the temporaries of processes that are gone.
func (d *Directory) clean() error {
	dir := d.folder(tempsName)
	names, err := d.fs.List(dir)
	if err != nil {
		return err
	}
	leftovers := map[string][]string{}
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimSuffix(name, aliveSuffix), "-")
		leftovers[id] = append(leftovers[id], name)
	}
	delete(leftovers, d.id)
	for id, names := range leftovers {
		// Under the store's lock nobody else opens, so nobody takes this name.
		gone, err := d.fs.Lock(filepath.Join(dir, id+aliveSuffix))
		switch {
		case err != nil && busy(err):
			continue // it is being written
		case err != nil:
			return err
		}
		for _, name := range names {
			if err := d.fs.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(err, gone.Close())
			}
		}
		if err := gone.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the use of the folder. No method may be under way.
func (d *Directory) Close() error { return d.alive.Close() }

func (d *Directory) String() string { return "dir:" + d.root }

func (d *Directory) folder(name string) string { return filepath.Join(d.root, name) }

// file is the name of an object's file. No key has a '+'.
func (d *Directory) file(key string) string {
	return filepath.Join(d.root, objectsName, strings.ReplaceAll(key, "/", "+"))
}

// lock waits until it is this caller's turn to change the store: first among
// those of this process, then among processes.
func (d *Directory) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	until := time.Now().Add(lockPatience)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		held, err := d.fs.Lock(d.folder(lockName))
		if err == nil {
			return func() {
				_ = held.Close() // a lock that cannot be given back ends with the process
				<-d.turn
			}, nil
		}
		if busy(err) && time.Now().Before(until) {
			if err = pause(ctx, wait); err == nil {
				continue
			}
		}
		<-d.turn
		return nil, err
	}
}

// busy tells a lock that somebody else holds from one that cannot be taken at
// all, which is the operating system's error.
func busy(err error) bool {
	var path *fs.PathError
	var number syscall.Errno
	return !errors.As(err, &path) && !errors.As(err, &number)
}

// pause waits, or returns why not to.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
