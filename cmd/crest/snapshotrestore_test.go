package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

func TestAnOlderSnapshotIsRestoredAndTheLogReplayed(t *testing.T) {
	r := newSnapshotRig(t)
	r.send(1, true)
	r.send(2, true)
	r.send(3, false)
	want := r.ledger()
	crest(t, "snapshot", "restore", "--data", r.data).want(t, 1, "in use by process", "stopped first")
	r.stop()
	before := r.listed("--data", r.data)
	older := before[2].Snapshots[2]
	got := crest(t, "snapshot", "restore", "--data", r.data, "--partition", "2", "--root", older.Root, "-o", "json")
	got.want(t, 0)
	var done restored
	if err := json.Unmarshal([]byte(got.out), &done); err != nil || len(done.Partitions) != 1 || done.Partitions[0].Root != older.Root || done.Partitions[0].Partition != 2 || done.LogMade {
		t.Errorf("%+v, %v", done, err)
	}
	after := r.listed("--data", r.data)
	if p := after[2]; p.Epoch != before[2].Epoch+1 || len(p.Snapshots) != 1 || p.Snapshots[0].Root != older.Root || !strings.HasPrefix(p.Owner, "crest snapshot restore") {
		t.Errorf("partition 2: %+v", p)
	}
	if p := after[1]; p.Epoch != before[1].Epoch || len(p.Snapshots) != 3 {
		t.Errorf("partition 1: %+v", p)
	}
	crest(t, "snapshot", "restore", "--data", r.data, "--before", "2001-01-01T00:00:00Z").want(t, 1, "partition 0 has no snapshot of 2001", "oldest")
	crest(t, "snapshot", "restore", "--data", r.data, "--before", "2999-01-01T00:00:00Z", "-o", "csv").want(t, 0, "partition,root,offset", before[0].Snapshots[0].Root)

	r.serve()
	if got := r.ledger(); got.Total.StateDigest != want.Total.StateDigest || got.Total.Counted != want.Total.Counted {
		t.Errorf("ledger %+v, want %+v", got.Total, want.Total)
	}
}

// A disk with the data folder is lost; the store and a copy of the log's
// identity are left.
func TestADataFolderIsMadeAnewFromTheStore(t *testing.T) {
	t.Run("identity", func(t *testing.T) { makeAnew(t, nil, "--identity", "log.meta") })
	key := write(t, "key", strings.Repeat("5a", 32))
	t.Run("hash key", func(t *testing.T) {
		makeAnew(t, []string{"--hash-key-file", key}, "--hash-key-file", key, "--clock", "event")
	})
}

func makeAnew(t *testing.T, serve []string, restore ...string) {
	place := t.TempDir()
	store, backup := "dir:"+filepath.Join(place, "store"), "dir:"+filepath.Join(place, "backup")
	r := newSnapshotRig(t, append(serve, "--store", store)...)
	identity := filepath.Join(place, "log.meta")
	r.send(1, true)
	want := r.ledger()
	copyFile(t, filepath.Join(r.data, "log", "log.meta"), identity)
	for i, arg := range restore {
		if arg == "log.meta" {
			restore[i] = identity
		}
	}
	// A backup, as it is taken beside the node: the store alone.
	crest(t, "snapshot", "restore", "--from", store, "--store", backup, "--store-only").want(t, 0, "4 partitions restored in "+backup)
	r.send(2, false) // is lost
	r.stop()
	r.data = filepath.Join(place, "new")
	again := append([]string{"snapshot", "restore", "--data", r.data, "--from", backup}, restore...)
	crest(t, again...).want(t, 0, "a log made", "Events that came after the snapshots are not there")
	crest(t, again...).want(t, 1, "there is a log in", "already")
	crest(t, "log", "verify", "--data", r.data).want(t, 0, "the log is sound")
	stampedBehind(t, r.data, r.listed("--store", backup))

	r.serve()
	got := r.ledger()
	if got.Total.StateDigest != want.Total.StateDigest || got.Total.Counted != 100 || got.Total.NextOffset != want.Total.NextOffset {
		t.Errorf("ledger %+v, want %+v", got.Total, want.Total)
	}
	// It goes on as if nothing had been: ids are remembered, what is new counts.
	r.send(1, false)
	r.send(2, false)
	r.stop()
	r.serve()
	eventually(t, func() error {
		if l := r.ledger().Total; l.Counted != 200 || l.Duplicates != 100 {
			return fmt.Errorf("ledger %+v, want 200 counted and 100 duplicates", l)
		}
		return nil
	})
}

// stampedBehind wants a log that stamps no frame before what the snapshots have,
// though the wall clock were behind it: arrivals never fall.
func stampedBehind(t *testing.T, data string, snapshots []partitionSnapshots) {
	t.Helper()
	var want messages.Micros
	for _, p := range snapshots {
		want = max(want, messages.MicrosOf(p.Snapshots[0].Arrival))
	}
	cfg := eventlog.DefaultConfig()
	cfg.Dir, cfg.MinFree = filepath.Join(data, "log"), 0
	l, err := eventlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.LastStamp(); got != want || want == 0 {
		t.Errorf("the log's last stamp is %v, the largest arrival in the snapshots %v", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsRestoredThatDoesNotFit(t *testing.T) {
	a, b := newSnapshotRig(t), newSnapshotRig(t)
	for _, r := range []*snapshotRig{a, b} {
		r.send(1, true)
		r.stop()
	}
	storeA, storeB := "dir:"+filepath.Join(a.data, "store"), "dir:"+filepath.Join(b.data, "store")
	logA := a.listed("--data", a.data)[0].Log
	empty := filepath.Join(t.TempDir(), "empty")
	wrongKey := write(t, "key", strings.Repeat("00", 32))
	for _, c := range []struct {
		name string
		code int
		args []string
		want []string
	}{
		{"nothing said of the log", 2, []string{"--data", empty, "--store", storeA}, []string{"there is no log in", "--identity", "--store-only"}},
		{"another log's store", 1, []string{"--data", a.data, "--from", storeB}, []string{"no snapshot of what is to be restored"}},
		{"another log's identity", 1, []string{"--data", empty, "--store", storeA, "--identity", filepath.Join(b.data, "log", "log.meta")}, []string{"no snapshot of what is to be restored"}},
		{"another hash key", 1, []string{"--data", empty, "--store", storeA, "--hash-key-file", wrongKey, "--clock", "wall"}, []string{"another hash key"}},
		{"another clock's name", 2, []string{"--data", empty, "--store", storeA, "--hash-key-file", wrongKey, "--clock", "sun"}, []string{"--clock", "wall or event"}},
		{"no identity", 1, []string{"--data", empty, "--store", storeA, "--identity", wrongKey}, []string{wrongKey, "not a log's identity"}},
		{"one partition of a new log", 2, []string{"--data", empty, "--store", storeA, "--partition", "1", "--identity", wrongKey}, []string{"--partition", "all partitions"}},
		{"an unknown root", 1, []string{"--data", a.data, "--partition", "1", "--root", "x.root"}, []string{"there is no such snapshot"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			crest(t, append([]string{"snapshot", "restore"}, c.args...)...).want(t, c.code, c.want...)
		})
	}
	crest(t, "snapshot", "restore", "--data", empty, "--from", storeA).want(t, 2, "there is no log in")
	// A log that lacks its identity alone needs that, and nothing restored.
	meta := filepath.Join(b.data, "log", "log.meta")
	kept := filepath.Join(t.TempDir(), "log.meta")
	copyFile(t, meta, kept)
	if err := os.Remove(meta); err != nil {
		t.Fatal(err)
	}
	epoch := b.listed("--data", b.data)[0].Epoch
	for _, args := range [][]string{nil, {"--identity", kept}} {
		crest(t, append([]string{"snapshot", "restore", "--data", b.data}, args...)...).want(t, 1, "no log.meta: put a copy of that file back")
	}
	if got := b.listed("--data", b.data)[0].Epoch; got != epoch {
		t.Errorf("a refused restore has changed the store: epoch %d, was %d", got, epoch)
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("a refused restore has left a data folder")
	}
	if p := a.listed("--data", a.data)[0]; p.Owner == "" || strings.HasPrefix(p.Owner, "crest snapshot restore") || p.Log != logA {
		t.Errorf("a refused restore has changed the store: %+v", p)
	}
}

// The log has lost its end (a folder that was put back from a copy, say), the
// snapshots have not.
func TestSnapshotsAheadOfTheLogAreNotRestoredIntoIt(t *testing.T) {
	r := newSnapshotRig(t)
	r.send(1, true)
	r.stop()
	log, copied := filepath.Join(r.data, "log"), filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(copied, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	r.serve()
	r.send(2, true)
	want := r.ledger()
	r.stop()
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(log, aside), os.CopyFS(log, os.DirFS(copied))); err != nil {
		t.Fatal(err)
	}
	crest(t, "serve", "--data", r.data, "--http", "127.0.0.1:0").want(t, 1, "it has lost events")
	crest(t, "snapshot", "restore", "--data", r.data).want(t, 1, "the log has lost events that the snapshot has", "--identity", "--before")
	// What it says: the newest snapshots without the log lose nothing here.
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	crest(t, "snapshot", "restore", "--data", r.data, "--identity", filepath.Join(copied, "log.meta")).want(t, 0, "4 partitions restored", "a log made")
	r.serve()
	if got := r.ledger().Total; got.StateDigest != want.Total.StateDigest || got.Counted != 200 {
		t.Errorf("ledger %+v, want %+v", got, want.Total)
	}
}

func TestALaterDataFolderIsRefusedByName(t *testing.T) {
	r := newSnapshotRig(t)
	r.stop()
	path := filepath.Join(r.data, "log", "log.meta")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[8] = 9
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	crest(t, "serve", "--data", r.data, "--http", "127.0.0.1:0").want(t, 1, "log.meta is of format version 9", "a later one")
	crest(t, "log", "verify", "--data", r.data).want(t, 1, "format version 9")
	crest(t, "snapshot", "restore", "--data", r.data).want(t, 1, "format version 9")
}

// Of a store that several logs use it has to be said which is meant.
func TestOneOfSeveralLogsIsRestored(t *testing.T) {
	place := t.TempDir()
	store := "dir:" + filepath.Join(place, "store")
	for range 2 {
		r := newSnapshotRig(t, "--store", store)
		r.send(1, true)
		r.stop()
	}
	for _, more := range [][]string{nil, {"--store-only"}} {
		args := append([]string{"snapshot", "restore", "--from", store, "--store", "dir:" + filepath.Join(place, "to"), "--data", filepath.Join(place, "new")}, more...)
		crest(t, args...).want(t, 2, "has snapshots of several logs", "say which with --log ID")
	}
}
