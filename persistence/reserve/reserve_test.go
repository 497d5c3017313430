package reserve_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/persistencetest"
	"github.com/crestdb/crest/persistence/reserve"
)

const size = 3 << 20

// disk is a file system with a number for its free space.
type disk struct {
	*persistencetest.FS
	free int64
	said bytes.Buffer
}

func (d *disk) open(path string) *reserve.Reserve {
	return reserve.New(reserve.Config{
		FS: d.FS, Path: path, Size: size, Floor: 1 << 20,
		FreeSpace: func(string) (int64, error) { return d.free, nil },
		Logger:    slog.New(slog.NewTextHandler(&d.said, nil)),
	})
}

func (d *disk) count(line string) int { return strings.Count(d.said.String(), line) }

func TestItIsGivenUpOnceAndMadeAgainWhenThereIsRoom(t *testing.T) {
	d := &disk{FS: persistencetest.New(1), free: 7 << 20}
	r := d.open("/data/reserve")
	r.Again()
	if r.Held() != 0 || r.Missing() != 0 {
		t.Fatalf("made before anybody asked: %d", r.Held())
	}
	r.Keep()
	if r.Held() != size || r.Missing() != 0 || len(d.ReadFile("/data/reserve")) != size {
		t.Fatalf("%d held, %d bytes in the file", r.Held(), len(d.ReadFile("/data/reserve")))
	}
	tries := 0
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	err := r.Do("a snapshot", func() error {
		if tries++; tries == 1 {
			return full
		}
		if d.ReadFile("/data/reserve") != nil {
			t.Error("the file is still there at the second try")
		}
		return nil
	})
	if err != nil || tries != 2 || r.Held() != 0 || r.Missing() != size {
		t.Fatalf("%v after %d tries, %d held, %d missing", err, tries, r.Held(), r.Missing())
	}
	if d.count("the reserve file is given up") != 1 || d.count("a snapshot") != 1 {
		t.Errorf("log: %s", d.said.String())
	}
	// With nothing to give up the error is the caller's at once.
	tries = 0
	if err := r.Do("a snapshot", func() error { tries++; return full }); !errors.Is(err, syscall.ENOSPC) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
	// Not while it would bring the floor near.
	d.free--
	r.Keep()
	r.Again()
	if r.Held() != 0 || d.ReadFile("/data/reserve") != nil {
		t.Error("made where there is no room")
	}
	d.free++
	r.Again()
	if r.Held() != size || d.count("there again") != 1 {
		t.Errorf("%d held; log: %s", r.Held(), d.said.String())
	}
	if again := d.open("/data/reserve"); again.Held() != size {
		t.Error("a start does not find it")
	}
}

func TestOtherErrorsLeaveItAlone(t *testing.T) {
	d := &disk{FS: persistencetest.New(1), free: 1 << 30}
	r := d.open("/data/reserve")
	r.Keep()
	tries := 0
	if err := r.Do("x", func() error { tries++; return syscall.EIO }); !errors.Is(err, syscall.EIO) || tries != 1 || r.Held() != size {
		t.Errorf("%v after %d tries, %d held", err, tries, r.Held())
	}
}

func TestAHalfMadeOneIsNone(t *testing.T) {
	d := &disk{FS: persistencetest.New(1), free: 1 << 30}
	r := d.open("/data/reserve")
	for at := 1; ; at++ { // MkdirAll, Create, three writes, Sync
		d.Inject(persistencetest.Fault{At: d.Ops() + at, Err: syscall.ENOSPC, Short: true})
		r.Keep()
		if r.Held() > 0 {
			if at != 7 {
				t.Errorf("made at the %dth operation's failure", at)
			}
			break
		}
		if d.ReadFile("/data/reserve") != nil {
			t.Fatalf("a part of it stays after a failure of operation %d", at)
		}
	}
	if d.count("nothing is kept aside") != 1 {
		t.Errorf("log: %s", d.said.String())
	}
	d.WriteFile("/data/reserve", make([]byte, size-1))
	if d.open("/data/reserve").Held() != 0 {
		t.Error("a part of it passes for the whole")
	}
}

func TestNothingIsKeptAsideByWish(t *testing.T) {
	r := reserve.New(reserve.Config{})
	r.Keep()
	if err := r.Do("x", func() error { return syscall.ENOSPC }); !errors.Is(err, syscall.ENOSPC) || r.Missing() != 0 {
		t.Error(err, r.Missing())
	}
}

func TestARealDiskGetsTheRoomBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "reserve")
	r := reserve.New(reserve.Config{
		FS: persistence.OS{}, Path: path, Size: size, FreeSpace: persistence.FreeSpace, Logger: slog.New(slog.DiscardHandler),
	})
	r.Keep()
	info, err := os.Stat(path)
	if err != nil || info.Size() != size {
		t.Fatal(info, err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Blocks*512 < size {
		t.Errorf("the file has %d bytes of the disk, want %d", s.Blocks*512, size)
	}
	_ = r.Do("x", func() error { return syscall.ENOSPC })
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error(err)
	}
}
