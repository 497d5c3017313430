package persistence_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/crestdb/crest/persistence"
)

func TestTheOperatingSystemsFiles(t *testing.T) {
	osfs := persistence.OS{}
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second time it is there
		if err := osfs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "x")
	f, err := osfs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hello"), 3); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), osfs.Rename(name, name+"2"), osfs.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name + "2"); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	names, err := osfs.List(dir)
	if err != nil || !slices.Equal(names, []string{"x2"}) {
		t.Fatal(names, err)
	}
	f, err = osfs.OpenRead(name + "2")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := f.ReadAt(b, 0); n != 8 || !errors.Is(err, io.EOF) || string(b[:n]) != "\x00\x00\x00hello" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if size, err := f.Size(); size != 8 || err != nil {
		t.Fatal(size, err)
	}
	if _, err := f.WriteAt(b, 0); err == nil {
		t.Fatal("wrote to a file opened for reading")
	}
	if err := errors.Join(f.Close(), osfs.Remove(name+"2")); err != nil {
		t.Fatal(err)
	}
	if _, err := osfs.OpenWrite(name + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := osfs.MkdirAll(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if free, err := persistence.FreeSpace(dir); err != nil || free <= 0 {
		t.Fatal(free, err)
	}
}

func TestMkdirAllRefusesAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (persistence.OS{}).MkdirAll(name); err == nil {
		t.Fatal("a file passed for a folder")
	}
}
