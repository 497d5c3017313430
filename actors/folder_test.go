package actors

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// folder is a RunStore in a folder of the operating system.
type folder struct {
	dir  string
	sync bool                    // files are synced, which takes time
	fail func(name string) error // of Create; nil: none

	mu   sync.Mutex
	open int // files that are open
}

func newFolder(t testing.TB, dir string) *folder {
	t.Helper()
	f := &folder{dir: dir}
	t.Cleanup(func() {
		if f.mu.Lock(); f.open != 0 {
			t.Errorf("%d runs are still open", f.open)
		}
		f.mu.Unlock()
	})
	return f
}

func (f *folder) Create(name string, write func(io.Writer) error) error {
	if f.fail != nil {
		if err := f.fail(name); err != nil {
			return err
		}
	}
	file, err := os.Create(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	err = write(file)
	if f.sync {
		err = errors.Join(err, file.Sync())
	}
	return errors.Join(err, file.Close())
}

func (f *folder) Open(name string) (*io.SectionReader, io.Closer, error) {
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	f.mu.Lock()
	f.open++
	f.mu.Unlock()
	return io.NewSectionReader(file, 0, info.Size()), closing{f, file}, nil
}

type closing struct {
	folder *folder
	file   *os.File
}

func (c closing) Close() error {
	c.folder.mu.Lock()
	c.folder.open--
	c.folder.mu.Unlock()
	return c.file.Close()
}

func (f *folder) Remove(name string) error { return os.Remove(filepath.Join(f.dir, name)) }

func (f *folder) List() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// snapshot is a messages.PartWriter and PartReader in memory. shared is what
// the snapshots before have.
type snapshot struct {
	names  []string
	parts  map[string][]byte
	shared map[string][]byte
	writes int // of shared parts
}

func newSnapshot(before *snapshot) *snapshot {
	s := &snapshot{parts: map[string][]byte{}, shared: map[string][]byte{}}
	if before != nil {
		for name, b := range before.shared {
			s.shared[name] = b
		}
	}
	return s
}

func (s *snapshot) Part(name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if slices.Contains(s.names, name) {
		return errors.New("two parts are called " + name)
	}
	s.names = append(s.names, name)
	s.parts[name] = b.Bytes()
	return nil
}

func (s *snapshot) Shared(name string, write func(io.Writer) error) error {
	if b, ok := s.shared[name]; ok {
		s.names = append(s.names, name)
		s.parts[name] = b
		return nil
	}
	s.writes++
	if err := s.Part(name, write); err != nil {
		return err
	}
	s.shared[name] = s.parts[name]
	return nil
}

// stored reads a snapshot.
type stored struct{ *snapshot }

func (s stored) Names() []string { return s.names }

func (s stored) Part(name string, read func(io.Reader) error) error {
	b, ok := s.parts[name]
	if !ok {
		return errors.New("no part " + name)
	}
	r := bytes.NewReader(b)
	if err := read(r); err != nil {
		return err
	}
	if r.Len() > 0 {
		return errors.New("part " + name + " was not read to its end")
	}
	return nil
}
