package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func openDir(t *testing.T, fsys persistence.FS, root string) *objectstore.Directory {
	t.Helper()
	d, err := objectstore.Dir(fsys, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestEqualBodiesHaveVersionsOfTheirOwn(t *testing.T) {
	d, ctx := openDir(t, persistencetest.New(1), "/store"), t.Context()
	seen := map[objectstore.Version]bool{}
	for range 10 {
		first := must[objectstore.Version](t)(d.PutIfAbsent(ctx, "k", []byte("same")))
		second := must[objectstore.Version](t)(d.PutIfMatch(ctx, "k", []byte("same"), first))
		if _, err := d.PutIfMatch(ctx, "k", []byte("same"), first); !errors.Is(err, objectstore.ErrChanged) {
			t.Fatal(err)
		}
		seen[first], seen[second] = true, true
		if err := d.Delete(ctx, "k"); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d versions of 20 states", len(seen))
	}
}

// flaky is a file system whose folder syncs fail when told to.
type flaky struct {
	persistence.FS
	mu      sync.Mutex
	failing bool
}

func (f *flaky) fail(failing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = failing
}

func (f *flaky) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing {
		return syscall.EIO
	}
	return f.FS.SyncDir(dir)
}

// TestARefusalStays: a process renames its object and dies before the sync;
// another is told that the object is there, and must find it after a power
// loss as well.
func TestARefusalStays(t *testing.T) {
	for seed := range uint64(20) {
		mem := persistencetest.New(seed)
		dying := &flaky{FS: mem}
		one, two, ctx := openDir(t, dying, "/store"), openDir(t, mem, "/store"), t.Context()
		dying.fail(true)
		if _, err := one.PutIfAbsent(ctx, "k", []byte("one")); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if _, err := two.PutIfAbsent(ctx, "k", []byte("two")); !errors.Is(err, objectstore.ErrExists) {
			t.Fatal(err)
		}
		if body, _ := get(t, openDir(t, mem.PowerLoss(seed), "/store"), "k"); body != "one" {
			t.Fatalf("seed %d: the object that was there is %q", seed, body)
		}
	}
}

// TestNothingUnsyncedIsRead: after a failed sync reads fail until it is made
// up for.
func TestNothingUnsyncedIsRead(t *testing.T) {
	fs := &flaky{FS: persistencetest.New(1)}
	d, ctx := openDir(t, fs, "/store"), t.Context()
	fs.fail(true)
	if _, err := d.Put(ctx, "k", []byte("x")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	_, _, err := d.Get(ctx, "k")
	_, err2 := d.GetRange(ctx, "k", 0, 1)
	for _, err := range []error{err, err2, d.List(ctx, "", func(objectstore.Info) error { return nil })} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("read what may be gone: %v", err)
		}
	}
	fs.fail(false)
	if body, _ := get(t, d, "k"); body != "x" {
		t.Errorf("%q", body)
	}
}

func TestLeftoversOfTheDeadAreRemovedAndOthersAreNot(t *testing.T) {
	root := t.TempDir()
	temps := filepath.Join(root, "tmp")
	old := openDir(t, nil, root)
	for _, name := range []string{"0123456789abcdef-1", "0123456789abcdef-22", "0123456789abcdef.lock"} {
		if err := os.WriteFile(filepath.Join(temps, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// What the living one is writing has the name of its lock.
	locks, err := filepath.Glob(filepath.Join(temps, "*.lock"))
	if err != nil || len(locks) != 2 {
		t.Fatal(locks, err)
	}
	mine := strings.TrimSuffix(locks[0], ".lock")
	if strings.HasSuffix(mine, "0123456789abcdef") {
		mine = strings.TrimSuffix(locks[1], ".lock")
	}
	if err := os.WriteFile(mine+"-1", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	openDir(t, nil, root)
	left, err := filepath.Glob(filepath.Join(temps, "*-*"))
	if err != nil || len(left) != 1 || left[0] != mine+"-1" {
		t.Errorf("left: %q, %v; want %s-1", left, err, mine)
	}
	if locks, _ := filepath.Glob(filepath.Join(temps, "*.lock")); len(locks) != 2 {
		t.Errorf("locks: %q", locks)
	}
	if keys := list(t, old, ""); len(keys) != 0 {
		t.Errorf("listed %q", keys)
	}
}

func TestAFailedPutLeavesNoTemporary(t *testing.T) {
	fs := persistencetest.New(1)
	d, ctx := openDir(t, fs, "/store"), t.Context()
	must[objectstore.Version](t)(d.Put(ctx, "k", []byte("x")))
	if _, err := d.PutIfAbsent(ctx, "k", make([]byte, 5000)); !errors.Is(err, objectstore.ErrExists) {
		t.Fatal(err)
	}
	fs.Inject(persistencetest.Fault{At: fs.Ops() + 3, Err: syscall.ENOSPC, Short: true})
	if _, err := d.Put(ctx, "k", make([]byte, 5000)); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "put k: ") {
		t.Fatal(err)
	}
	if names, err := fs.List("/store/tmp"); err != nil || len(names) > 0 {
		t.Error(names, err)
	}
}

func TestDamagedObjectsAreRefused(t *testing.T) {
	fs := persistencetest.New(1)
	d, ctx := openDir(t, fs, "/store"), t.Context()
	must[objectstore.Version](t)(d.Put(ctx, "a/b", []byte("body of a/b")))
	must[objectstore.Version](t)(d.Put(ctx, "other", []byte("other body!")))
	whole := fs.ReadFile("/store/objects/a+b")
	if len(whole) != 40+11 || string(whole[40:]) != "body of a/b" || string(whole[:8]) != "CRESTOBJ" {
		t.Fatalf("FORMAT.md says otherwise: %q", whole)
	}
	damages := map[string][]byte{
		"empty": {}, "cut in the header": whole[:39], "cut": whole[:50], "longer": append(whole[:51:51], 0),
		"another object's": fs.ReadFile("/store/objects/other"), "no object": []byte(strings.Repeat("z", 100)),
	}
	for i := range 40 {
		b := append([]byte{}, whole...)
		b[i] ^= 1 << (i % 8)
		damages[fmt.Sprintf("byte %d", i)] = b
	}
	for name, b := range damages {
		fs.WriteFile("/store/objects/a+b", b)
		_, _, err := d.Get(ctx, "a/b")
		_, err2 := d.GetRange(ctx, "a/b", 0, 1)
		_, err3 := d.PutIfAbsent(ctx, "a/b", nil)
		_, err4 := d.PutIfMatch(ctx, "a/b", nil, "v")
		for i, err := range []error{err, err2, err3, err4} {
			if class(err) != "another error" || !strings.Contains(err.Error(), "a/b: ") {
				t.Errorf("%s, operation %d: %v", name, i, err)
			}
			// The next four bytes are the format's version, which may be a later one.
			later := len(b) >= 40 && !bytes.Equal(b[8:12], whole[8:12]) && bytes.HasPrefix(b, whole[:8])
			if errors.Is(err, objectstore.ErrDamaged) == later {
				t.Errorf("%s, operation %d: %v, want it damaged: %v", name, i, err, !later)
			}
		}
	}
	must[objectstore.Version](t)(d.Put(ctx, "a/b", []byte("new")))
	if body, _ := get(t, d, "a/b"); body != "new" {
		t.Errorf("%q", body)
	}
}

func TestALockThatIsNeverGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := persistencetest.New(1)
		d := openDir(t, fs, "/store")
		held, err := fs.Lock("/store/lock")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := d.Put(t.Context(), "k", nil); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Error(err)
		}
		if waited := time.Since(start); waited < 9*time.Second || waited > 11*time.Second {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Put(ctx, "k", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.AfterFunc(3*time.Second, func() { _ = held.Close() })
		must[objectstore.Version](t)(d.Put(t.Context(), "k", nil))
	})
}

// unlockable is a file system without locks.
type unlockable struct{ persistence.FS }

func (unlockable) Lock(name string) (io.Closer, error) {
	return nil, &os.PathError{Op: "lock", Path: name, Err: syscall.EROFS}
}

func TestALockThatCannotBeTakenIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := objectstore.Dir(unlockable{persistencetest.New(1)}, "/store")
		if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "/store") || time.Since(start) > time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

// inUse tells whether somebody had no turn for as long as anybody waits, as may be
// where a disk is slow. Then nothing was put.
func inUse(err error) bool { return err != nil && strings.Contains(err.Error(), "is in use by") }

// TestProcessesTakeTurns has processes of their own contend for one object.
func TestProcessesTakeTurns(t *testing.T) {
	const processes, rounds = 3, 25
	root := t.TempDir()
	if where := os.Getenv("CREST_TEST_CONTEND"); where != "" {
		d, err := objectstore.Dir(nil, where)
		for inUse(err) {
			d, err = objectstore.Dir(nil, where)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		ctx := t.Context()
		for done := 0; done < rounds; {
			body, v := get(t, d, "counter")
			var err error
			if body = fmt.Sprintf("%s%d\n", body, os.Getpid()); v == "" {
				_, err = d.PutIfAbsent(ctx, "counter", []byte(body))
			} else {
				_, err = d.PutIfMatch(ctx, "counter", []byte(body), v)
			}
			if c := class(err); c == "another error" && !inUse(err) {
				t.Fatal(err)
			} else if c == "" {
				done++
			}
		}
		return
	}
	var running sync.WaitGroup
	for range processes {
		running.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesTakeTurns$")
			cmd.Env = append(os.Environ(), "CREST_TEST_CONTEND="+root)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	running.Wait()
	body, _ := get(t, openDir(t, nil, root), "counter")
	if n := strings.Count(body, "\n"); n != processes*rounds {
		t.Errorf("%d puts are there of %d that succeeded", n, processes*rounds)
	}
}
