package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/snapshot"
)

// TestASnapshotOfACopyIsPassedOver has a node run on a copy of another one's data
// folder, with the same store of snapshots. Both take events, and the copy
// snapshots its own. Then the first one starts again, from what a crash has left
// of it: it counts what it has acknowledged, and nothing else.
func TestASnapshotOfACopyIsPassedOver(t *testing.T) {
	for _, c := range []struct {
		name      string
		own, copy []int // events, by request
	}{
		{"the same offsets", []int{3, 2}, []int{3}},
		{"in the middle of a request", []int{5}, []int{3}},
		{"many requests", []int{1, 1, 1, 1, 1}, []int{1, 1, 1, 1}},
	} {
		for _, first := range []string{"own", "copy"} { // so the other's stamps are the larger ones
			t.Run(fmt.Sprintf("%s, %s first", c.name, first), func(t *testing.T) {
				t.Parallel()
				base, after := filepath.Join(t.TempDir(), "base"), filepath.Join(t.TempDir(), "after")
				log, one := &heard{}, 1
				start := func(base, name string) *running {
					cfg := testConfig(filepath.Join(base, name))
					cfg.Store, cfg.Partitions, cfg.Logger = "dir:"+filepath.Join(base, "store"), &one, logTo(log)
					return run(t, cfg)
				}
				send := func(r *running, topic string, requests ...int) {
					for _, n := range requests {
						r.send(t, strings.Repeat(fmt.Sprintf(`{"topic":"%s"}`+"\n", topic), n), "")
					}
				}
				r := start(base, "own")
				send(r, "common", 2)
				if _, err := r.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
				copyTree(t, base, after)
				copyTree(t, filepath.Join(after, "own"), filepath.Join(after, "copy"))
				if first == "own" {
					send(r, "own", c.own...)
				}
				other := start(after, "copy")
				send(other, "copy", c.copy...)
				if err := other.stop(); err != nil {
					t.Fatal(err)
				}
				if first == "copy" {
					send(r, "own", c.own...)
				}
				if err := os.RemoveAll(filepath.Join(after, "own")); err != nil {
					t.Fatal(err)
				}
				copyTree(t, filepath.Join(base, "own"), filepath.Join(after, "own"))
				r = start(after, "own")
				events := uint64(0)
				for _, n := range c.own {
					events += uint64(n)
				}
				for topic, want := range map[string]uint64{"common": 2, "own": events, "copy": 0} {
					if got := r.count(t, topic, ""); got != want {
						t.Errorf("%s: %d, want %d", topic, got, want)
					}
				}
				log.want(t, 1, "was not made from this log")
			})
		}
	}
}

// TestWhatASnapshotHasToAgreeWith: frames may be stamped in another order than
// they are appended in, and what was trimmed is not asked for.
func TestWhatASnapshotHasToAgreeWith(t *testing.T) {
	cfg := eventlog.DefaultConfig()
	cfg.Dir, cfg.Partitions, cfg.MinFree, cfg.Logger = t.TempDir(), 1, 0, testConfig("").Logger
	log, err := eventlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	base := 100 * messages.Day
	for _, stamp := range []messages.Micros{10, 30, 20, 25} {
		f := &messages.Frame{Kind: messages.FrameTick, Stamp: base + stamp, Blocks: []messages.Block{{}}}
		if err := log.Append(t.Context(), f, make(messages.Position, 1)); err != nil {
			t.Fatal(err)
		}
	}
	three := &messages.Frame{Kind: messages.FrameEvents, Stamp: base + 30, Blocks: []messages.Block{{Records: 3, Data: []byte{1}}}}
	if err := log.Append(t.Context(), three, make(messages.Position, 1)); err != nil {
		t.Fatal(err)
	}
	s := &snapshots{log: log, partitions: make([]*snapshot.Partition, 1)}
	for _, c := range []struct {
		offset  messages.Offset
		arrival messages.Micros
		begins  messages.Offset
		want    bool
	}{
		{1, 10, 0, true}, {2, 30, 0, true}, {3, 30, 0, true}, {4, 30, 0, true},
		{1, 11, 0, false}, {2, 29, 0, false}, {3, 19, 0, false}, {4, 26, 0, false}, {4, 31, 0, false},
		{4, 31, 3, true}, {4, 31, 4, true}, // it may have been trimmed
		{4, 24, 3, false}, {4, 25 + stampSlack + 1, 3, false},
		{6, 30, 0, false}, {7, 30, 0, true},
		{8, 1, 0, true}, // the engine refuses that
	} {
		err := s.agrees(t.Context(), &messages.SnapshotInfo{Offset: c.offset, Arrival: base + c.arrival}, c.begins)
		if (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
