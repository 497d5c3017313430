package persistencetest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func create(t *testing.T, f *persistencetest.FS, name string) persistence.File {
	t.Helper()
	file, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func write(t *testing.T, file persistence.File, at int64, b []byte) {
	t.Helper()
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcomes are the different contents that power losses leave of a file.
func outcomes(prepare func(*persistencetest.FS), name string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(400) {
		f := persistencetest.New(seed)
		prepare(f)
		seen[string(f.PowerLoss(seed).ReadFile(name))]++
	}
	return seen
}

func TestWhatWasSyncedSurvives(t *testing.T) {
	seen := outcomes(func(f *persistencetest.FS) {
		file := create(t, f, "/d/a")
		write(t, file, 0, bytes.Repeat([]byte("s"), 10_000))
		must(t, file.Sync())
		must(t, f.SyncDir("/d"))
	}, "/d/a")
	if len(seen) != 1 || seen[string(bytes.Repeat([]byte("s"), 10_000))] != 400 {
		t.Fatalf("%d outcomes", len(seen))
	}
}

func TestUnsyncedBlocksSurviveInAnyCombination(t *testing.T) {
	const blocks = 3
	seen := outcomes(func(f *persistencetest.FS) {
		file := create(t, f, "/d/a")
		write(t, file, 0, bytes.Repeat([]byte("o"), blocks*4096))
		must(t, file.Sync())
		must(t, f.SyncDir("/d"))
		write(t, file, 0, bytes.Repeat([]byte("n"), blocks*4096))
	}, "/d/a")
	for combination := range 1 << blocks {
		var want []byte
		for b := range blocks {
			want = append(want, bytes.Repeat([]byte{"on"[combination>>b&1]}, 4096)...)
		}
		if seen[string(want)] == 0 {
			t.Errorf("blocks %03b never survived alone", combination)
		}
	}
	torn := 0
	for content := range seen {
		if first := content[:4096]; bytes.Contains([]byte(first), []byte("o")) && bytes.Contains([]byte(first), []byte("n")) {
			torn++
		}
	}
	if torn == 0 {
		t.Error("no block was ever torn between sectors")
	}
}

func TestAnUnsyncedEndMayBeCutOffOrFullOfHoles(t *testing.T) {
	const size = 5 * 4096
	lengths, holes := map[int]bool{}, 0
	for content := range outcomes(func(f *persistencetest.FS) {
		file := create(t, f, "/d/a")
		must(t, f.SyncDir("/d"))
		write(t, file, 0, bytes.Repeat([]byte("n"), size))
	}, "/d/a") {
		lengths[len(content)] = true
		if i := bytes.IndexByte([]byte(content), 0); i >= 0 && bytes.IndexByte([]byte(content[i:]), 'n') > 0 {
			holes++
		}
	}
	if !lengths[0] || !lengths[size] || len(lengths) < 50 || holes == 0 {
		t.Errorf("%d lengths, %d with holes before data", len(lengths), holes)
	}
}

func TestAnOlderVersionOfABlockMaySurvive(t *testing.T) {
	seen := outcomes(func(f *persistencetest.FS) {
		file := create(t, f, "/d/a")
		write(t, file, 0, []byte("1"))
		must(t, file.Sync())
		must(t, f.SyncDir("/d"))
		for _, v := range []string{"2", "3", "4"} {
			write(t, file, 0, []byte(v))
		}
	}, "/d/a")
	for _, v := range []string{"1", "2", "3", "4"} {
		if seen[v] == 0 {
			t.Errorf("version %s never survived: %v", v, seen)
		}
	}
}

func TestNamesAreDurableOnlyAfterTheFolderIsSynced(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		f := persistencetest.New(seed)
		file := create(t, f, "/d/a")
		write(t, file, 0, []byte("x"))
		must(t, file.Sync())
		must(t, f.SyncDir("/d"))
		must(t, f.Rename("/d/a", "/d/b"))
		names, err := f.PowerLoss(seed).List("/d")
		must(t, err)
		seen[fmt.Sprint(names)]++
	}
	for _, names := range []string{"[a]", "[b]", "[a b]", "[]"} {
		if seen[names] == 0 {
			t.Errorf("%s never: %v", names, seen)
		}
	}
}

func TestAFailedSyncForgetsWhatIsMissing(t *testing.T) {
	lost := 0
	for seed := range uint64(100) {
		f := persistencetest.New(seed)
		file := create(t, f, "/d/a")
		must(t, f.SyncDir("/d"))
		write(t, file, 0, bytes.Repeat([]byte("n"), 8192))
		f.Inject(persistencetest.Fault{At: f.Ops() + 1, Err: syscall.EIO})
		if err := file.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		must(t, file.Sync()) // says nothing is wrong
		if live := f.ReadFile("/d/a"); !bytes.Equal(live, bytes.Repeat([]byte("n"), 8192)) {
			t.Fatal("the process sees something else than it wrote")
		}
		if !bytes.Equal(f.PowerLoss(seed).ReadFile("/d/a"), bytes.Repeat([]byte("n"), 8192)) {
			lost++
		}
	}
	if lost < 30 {
		t.Errorf("lost in %d of 100", lost)
	}
}

func TestAKilledProcessLeavesWhatItWrote(t *testing.T) {
	f := persistencetest.New(1)
	lock, err := f.Lock("/d/lock")
	must(t, err)
	if _, err := f.Lock("/d/lock"); err == nil {
		t.Fatal("locked twice")
	}
	file := create(t, f, "/d/a")
	write(t, file, 0, []byte("x"))
	after := f.Kill()
	if got := after.ReadFile("/d/a"); string(got) != "x" {
		t.Fatalf("%q", got)
	}
	if _, err := file.WriteAt([]byte("y"), 0); !errors.Is(err, persistencetest.ErrPowerOff) {
		t.Fatalf("the killed process writes: %v", err)
	}
	if _, err := after.Lock("/d/lock"); err != nil {
		t.Fatal(err)
	}
	must(t, lock.Close())
}

func TestFaultsHitTheOperationTheyAreFor(t *testing.T) {
	f := persistencetest.New(1)
	file := create(t, f, "/d/a") // 1
	f.Inject(persistencetest.Fault{At: 2, Err: syscall.ENOSPC, Short: true})
	n, err := file.WriteAt([]byte("0123456789"), 0)
	if n != 5 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%d, %v", n, err)
	}
	write(t, file, 0, []byte("0123456789"))
	f.Inject(persistencetest.Fault{At: 4, Err: syscall.EIO, Sticky: true})
	for range 3 {
		if err := f.Rename("/d/a", "/d/b"); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	if _, err := f.OpenRead("/d/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	f.Inject(persistencetest.Fault{At: f.Ops() + 1, PowerOff: true})
	for range 2 {
		if err := file.Sync(); !errors.Is(err, persistencetest.ErrPowerOff) {
			t.Fatal(err)
		}
	}
}

func TestASeedAlwaysDrawsTheSame(t *testing.T) {
	draw := func() string {
		f := persistencetest.New(5)
		for i := range 20 {
			file := create(t, f, fmt.Sprintf("/d/%d", i))
			write(t, file, 0, bytes.Repeat([]byte("n"), 3000*i))
		}
		after := f.PowerLoss(6)
		names, err := after.List("/d")
		must(t, err)
		var all []byte
		for _, n := range names {
			all = fmt.Appendf(all, "%s %x ", n, after.ReadFile("/d/"+n))
		}
		return string(all)
	}
	if first, second := draw(), draw(); first != second {
		t.Error("two power losses of one seed differ")
	}
}
