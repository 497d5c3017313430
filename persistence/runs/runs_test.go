package runs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/persistencetest"
	"github.com/crestdb/crest/persistence/runs"
)

const dir = "/runs"

func open(t *testing.T, f persistence.FS, dir string) *runs.Store {
	t.Helper()
	s, err := runs.Open(f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content is different for each name, and longer than what is written at once.
func content(name string) []byte { return bytes.Repeat([]byte(name), 30_000) }

func create(s *runs.Store, name string) error {
	return s.Create(name, func(w io.Writer) error {
		_, err := w.Write(content(name))
		return err
	})
}

func read(t *testing.T, s *runs.Store, name string) []byte {
	t.Helper()
	in, file, err := s.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(t *testing.T, s *runs.Store) []string {
	t.Helper()
	names, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRunsAreKept(t *testing.T) {
	for name, f := range map[string]persistence.FS{"memory": persistencetest.New(1), "os": persistence.OS{}} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir() + "/a/b"
			s := open(t, f, folder)
			for _, name := range []string{"b", "a"} {
				if err := create(s, name); err != nil {
					t.Fatal(err)
				}
			}
			s = open(t, f, folder)
			if got := list(t, s); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("names %v", got)
			}
			if !bytes.Equal(read(t, s, "a"), content("a")) {
				t.Error("other bytes than were written")
			}
			in, file, err := s.Open("a")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Remove("a"); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(in); err != nil || !bytes.Equal(b, content("a")) {
				t.Errorf("an open file whose name is gone: %d bytes, %v", len(b), err)
			}
			if err := file.Close(); err != nil {
				t.Error(err)
			}
			if _, _, err := s.Open("a"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open: %v", err)
			}
			if err := s.Remove("a"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("remove: %v", err)
			}
		})
	}
}

// TestANameIsWholeWhateverFails: at each operation in turn a fault, a crash or
// a power loss; whatever has a name afterwards has all its bytes.
func TestANameIsWholeWhateverFails(t *testing.T) {
	whole, missing := 0, 0
	check := func(seed uint64, at int, f *persistencetest.FS) {
		t.Helper()
		s := open(t, f, dir)
		names := list(t, s)
		for _, name := range names {
			if !bytes.Equal(read(t, s, name), content(name)) {
				t.Fatalf("seed %d, fault at operation %d: %s is not what was written", seed, at, name)
			}
		}
		whole += len(names)
		missing += 2 - len(names)
		if all, err := f.List(dir); err != nil || len(all) != len(names) {
			t.Fatalf("seed %d, fault at operation %d: left over: %v, %v", seed, at, all, err)
		}
	}
	for seed := range uint64(20) {
		for at := 1; ; at++ {
			f := persistencetest.New(seed)
			s := open(t, f, dir)
			f.Inject(persistencetest.Fault{At: f.Ops() + at, PowerOff: true})
			err := errors.Join(create(s, "a"), create(s, "b"))
			check(seed, at, f.PowerLoss(seed))
			if err == nil {
				break
			}
			f = persistencetest.New(seed)
			s = open(t, f, dir)
			f.Inject(persistencetest.Fault{At: f.Ops() + at, Err: syscall.ENOSPC, Short: true})
			if err := errors.Join(create(s, "a"), create(s, "b")); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("seed %d, fault at operation %d: %v", seed, at, err)
			}
			if at%2 == 0 {
				f = f.Kill()
			}
			check(seed, at, f)
		}
	}
	if whole == 0 || missing == 0 {
		t.Errorf("%d were there, %d were not: want some of both", whole, missing)
	}
}

func TestAWriterThatFailsLeavesNothing(t *testing.T) {
	f := persistencetest.New(1)
	s := open(t, f, dir)
	failed := errors.New("failed")
	err := s.Create("a", func(w io.Writer) error {
		if _, err := w.Write(content("a")); err != nil {
			t.Error(err)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("create: %v", err)
	}
	if all, err := f.List(dir); err != nil || len(all) != 0 {
		t.Errorf("left over: %v, %v", all, err)
	}
}
