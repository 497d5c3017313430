// Package runs keeps immutable files that can be made again: a partition's
// sorted runs of event ids (actors/FORMAT.md), which the actors write, read and
// remove.
//
// A file is there whole, under its name, with all its bytes durable, or it is
// not there. Its name need not survive a power loss: the folder is a cache of
// what snapshots have, so no folder is synced, and a name that was removed may
// be back. What is in the bytes, and whether they are still the right ones, is
// for the reader to tell.
package runs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/crestdb/crest/persistence"
)

// Store is a folder of files. It belongs to one caller; what Open gives may be
// read by several.
type Store struct {
	fs  persistence.FS
	dir string
}

const (
	unfinished  = ".tmp"
	bufferBytes = 64 << 10
)

// Open makes the folder if need be and removes what was left unfinished in it.
func Open(fs persistence.FS, dir string) (*Store, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open the folder of runs: %w", err)
	}
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of runs: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, unfinished) {
			if err := fs.Remove(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("remove an unfinished run: %w", err)
			}
		}
	}
	return &Store{fs, dir}, nil
}

// Create makes a file of the bytes that write writes, in place of one that is
// there. After an error of either there is nothing new under the name.
func (s *Store) Create(name string, write func(io.Writer) error) (err error) {
	path := filepath.Join(s.dir, name)
	f, err := s.fs.Create(path + unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// Not worth another error: it is removed when the folder is opened.
			_ = s.fs.Remove(path + unfinished)
		}
	}()
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, 0), bufferBytes)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.fs.Rename(path+unfinished, path)
}

// Open opens a file for reading; a missing one is fs.ErrNotExist. It can be read
// until it is closed, also when its name is removed.
func (s *Store) Open(name string) (*io.SectionReader, io.Closer, error) {
	f, err := s.fs.OpenRead(filepath.Join(s.dir, name))
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return io.NewSectionReader(f, 0, size), f, nil
}

// Remove takes a file's name away; a missing one is fs.ErrNotExist.
func (s *Store) Remove(name string) error { return s.fs.Remove(filepath.Join(s.dir, name)) }

// List is the names there are, ascending.
func (s *Store) List() ([]string, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list the runs: %w", err)
	}
	whole := names[:0]
	for _, name := range names {
		if !strings.HasSuffix(name, unfinished) {
			whole = append(whole, name)
		}
	}
	return whole, nil
}
