package actors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/crestdb/crest/actors/seen"
)

// RunStore keeps one partition's sorted runs of event ids as files. They are a
// cache: whatever a restart needs is in the snapshot too. Its methods are
// called by one goroutine at a time; what Open gives may be read by several.
type RunStore interface {
	// Create makes a file of the bytes that write writes. It is there whole, and
	// its bytes are durable, or it is not there.
	Create(name string, write func(io.Writer) error) error
	// Open opens a file for reading; a missing one is fs.ErrNotExist. It can be
	// read until it is closed, also when its name is removed.
	Open(name string) (*io.SectionReader, io.Closer, error)
	// Remove takes a file's name away.
	Remove(name string) error
	// List is the names there are.
	List() ([]string, error)
}

// run is a sorted run and where its bytes are. It never changes.
type run struct {
	*seen.Run
	*runFile
}

// runFile is a run's bytes. It is held by the table until the run's ids are
// forgotten or in another run, by whoever makes that one, and by frozen tables.
type runFile struct {
	name     string
	in       *io.SectionReader
	file     io.Closer // nil: in memory
	resident int64     // bytes in memory, if file is nil
	store    RunStore  // which has a file of its name; or nil
	holders  atomic.Int32
}

// openFile opens a run's file.
func openFile(store RunStore, name string) (*runFile, error) {
	in, file, err := store.Open(name)
	if err != nil {
		return nil, err
	}
	f := &runFile{name: name, in: in, file: file, store: store}
	f.holders.Store(1)
	return f, nil
}

// openRun opens a run's file and reads what memory has of it.
func openRun(store RunStore, name string) (*run, error) {
	f, err := openFile(store, name)
	if err != nil {
		return nil, err
	}
	r, err := seen.Open(f.in, f.in.Size())
	if err != nil {
		f.release()
		return nil, err
	}
	return &run{r, f}, nil
}

// residentFile is a run's bytes in memory.
func residentFile(name string, data []byte) *runFile {
	f := &runFile{name: name, in: io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), resident: int64(cap(data))}
	f.holders.Store(1)
	return f
}

func (r *run) hold() *run {
	r.holders.Add(1)
	return r
}

// release lets go of the run; the last to do so closes its file. It was only
// read: an error of the close says nothing about what was read.
func (f *runFile) release() {
	if f.holders.Add(-1) == 0 && f.file != nil {
		_ = f.file.Close()
	}
}

// remove takes the file's name away; those who hold the run can read it.
func (f *runFile) remove() error {
	if err := f.store.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove run of ids %s: %w", f.name, err)
	}
	return nil
}

// runBytes is what a run takes beside what package seen says.
const runBytes = 256

func (r *run) bytes() int64 { return runBytes + r.Run.Bytes() + r.resident }
