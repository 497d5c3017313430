// Package reserve keeps some MiB of a disk aside, in a file, for the moment when
// the disk is full: given up, they are room for a snapshot, for the start of a
// log that was stopped in the middle of a write, and for a stop in good order.
// The file is made again when there is room.
//
// What is in the file means nothing, so it needs no syncs: after a power loss it
// may be missing, and is made again. Nothing else is guaranteed: another process
// may take the room that is given up.
package reserve

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/crestdb/crest/persistence"
)

// Config says what is kept aside.
type Config struct {
	FS   persistence.FS
	Path string // of the file; its folder is made
	Size int64  // bytes; 0: nothing is kept aside
	// Floor is how many bytes must be free beside the file for it to be made.
	Floor     int64
	FreeSpace func(dir string) (int64, error) // persistence.FreeSpace
	Logger    *slog.Logger
}

// Reserve is the file. Its methods may be called concurrently.
type Reserve struct {
	cfg Config

	mu     sync.Mutex
	held   bool
	wanted bool // Keep was called
	// said: that it cannot be made was logged, and it has not been made since.
	said bool
}

// New looks whether the file is there from before. It makes nothing: what a full
// disk has room for comes first.
func New(cfg Config) *Reserve {
	r := &Reserve{cfg: cfg}
	if cfg.Size == 0 {
		return r
	}
	if f, err := cfg.FS.OpenRead(cfg.Path); err == nil {
		size, err := f.Size()
		r.held = err == nil && size >= cfg.Size
		_ = f.Close() // it was only looked at
	}
	return r
}

// Held is how many bytes are kept aside.
func (r *Reserve) Held() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		return 0
	}
	return r.cfg.Size
}

// Missing is how many bytes of the disk's free space are to be the file again:
// nobody should count on them.
func (r *Reserve) Missing() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held || !r.wanted {
		return 0
	}
	return r.cfg.Size
}

// IsFull tells whether an operation failed for lack of room, which may pass.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Do does what needs room on the disk, and once more with what is kept aside if
// there was none. what names it in the log.
func (r *Reserve) Do(what string, do func() error) error {
	err := do()
	if !r.GiveUp(what, err) {
		return err
	}
	return do()
}

// GiveUp removes the file if an operation failed for lack of room. It tells
// whether there is more room now: then the operation may be tried again.
func (r *Reserve) GiveUp(what string, why error) bool {
	if !IsFull(why) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		return false
	}
	if err := r.cfg.FS.Remove(r.cfg.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.cfg.Logger.Error("the disk is full, and the reserve file cannot be removed", "file", r.cfg.Path, "error", err)
		return false
	}
	r.held, r.said = false, true
	r.cfg.Logger.Error("the disk is full: the reserve file is given up; free space now, or events will be refused",
		"for", what, "file", r.cfg.Path, "bytes", r.cfg.Size, "error", why)
	return true
}

// Keep makes the file, if it is not there and there is room for it above the
// floor. That it could not be made is logged, once until it is.
func (r *Reserve) Keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = true
	r.keepLocked()
}

// Again makes the file as Keep does, if Keep was ever called.
func (r *Reserve) Again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted {
		r.keepLocked()
	}
}

func (r *Reserve) keepLocked() {
	if r.held || r.cfg.Size == 0 {
		return
	}
	err := r.makeLocked()
	if err != nil {
		if !r.said {
			r.cfg.Logger.Warn("nothing is kept aside for a full disk", "file", r.cfg.Path, "bytes", r.cfg.Size, "error", err)
		}
		r.said = true
		return
	}
	if r.said {
		r.cfg.Logger.Info("the reserve file is there again", "file", r.cfg.Path, "bytes", r.cfg.Size)
	}
	r.held, r.said = true, false
}

func (r *Reserve) makeLocked() error {
	dir := filepath.Dir(r.cfg.Path)
	if err := r.cfg.FS.MkdirAll(dir); err != nil {
		return err
	}
	free, err := r.cfg.FreeSpace(dir)
	if err != nil {
		return err
	}
	// As much again stays free: the file must not be what brings the floor near.
	if need := r.cfg.Floor + 2*r.cfg.Size; free < need {
		return fmt.Errorf("%d MiB are free, it wants %d", free>>20, need>>20)
	}
	f, err := r.cfg.FS.Create(r.cfg.Path)
	if err != nil {
		return err
	}
	if err = errors.Join(fill(f, r.cfg.Size), f.Close()); err != nil {
		// Half a reserve is taken for none; the next Keep empties it.
		return errors.Join(err, r.cfg.FS.Remove(r.cfg.Path))
	}
	return nil
}

// fill makes a file of size bytes that have room on the disk.
func fill(f persistence.File, size int64) error {
	if a, ok := f.(interface{ Allocate(int64) error }); ok {
		if err := a.Allocate(size); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	// Not zeros, which some file systems keep no room for.
	block := make([]byte, 1<<20)
	state := uint64(0x9e3779b97f4a7c15)
	for i := range block {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		block[i] = byte(state)
	}
	for at := int64(0); at < size; at += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync() // what is in memory alone has no room yet
}
