package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/persistence/reserve"
	"github.com/crestdb/crest/persistence/snapshot"
)

// TestAFailingStoreStopsSnapshotsAndNothingElse has every kind of operation on
// the store of snapshots fail.
func TestAFailingStoreStopsSnapshotsAndNothingElse(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename", "syncdir", "lock"} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprintf("%s: %v", op, cause), func(t *testing.T) {
				t.Parallel()
				cfg, disk, log := faulty(t, 0)
				cfg.LogRetention = 0
				s := &tries{running: runOn(t, cfg, Ground{Log: smallSegments})}
				send := func(n int) {
					t.Helper()
					for range n {
						if err := s.one(t); err != nil {
							t.Fatal(err)
						}
					}
				}
				send(10)
				store := filepath.Join(cfg.Data, "store")
				disk.obey(func(o, path string) error {
					if strings.HasPrefix(path, store) {
						return failing(cause, op, store)(o, path)
					}
					return nil
				})
				if _, err := s.core.engine.Snapshot(t.Context()); !errors.Is(err, cause) {
					t.Fatalf("snapshot: %v", err)
				}
				if disk.failed() == 0 {
					t.Fatal("nothing failed")
				}
				send(40) // more than a segment
				if err := s.Client.Ready(t.Context()); err != nil {
					t.Errorf("readyz: %v", err)
				}
				if n := s.core.embedded.Stats().Segments; n < 2 {
					t.Errorf("%d segments: the log is trimmed behind nothing", n)
				}
				if err := s.stop(); err != nil { // cannot snapshot: no failure
					t.Errorf("stop: %v", err)
				}
				log.want(t, 1, "the snapshots at the stop failed; the next start replays more of the log")

				disk.obey(nil)
				s.running = runOn(t, cfg, Ground{Log: smallSegments})
				s.settle(t)
				if _, err := s.core.engine.Snapshot(t.Context()); err != nil {
					t.Errorf("snapshot on a healed disk: %v", err)
				}
				if err := s.stop(); err != nil {
					t.Error(err)
				}
				s.running = runOn(t, cfg, Ground{Log: smallSegments})
				s.settle(t)
			})
		}
	}
}

// idBatch are n events of one topic with ids of their own.
func idBatch(from, n int) *client.Events {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"topic":"t","event_id":"%d"}`+"\n", from+i)
	}
	return &client.Events{Body: []byte(b.String()), ContentType: client.NDJSON}
}

// shortWindow is a node whose ids go into runs after a quarter of a second: so
// many of a generation are worth a file.
func shortWindow(cfg *Config) {
	window := time.Second
	cfg.DedupWindow = &window
}

const worthARun = 10_000

// TestIDsThatCannotBeWrittenShutTheDoor has the writing of a run fail in every
// way, and heals the disk.
func TestIDsThatCannotBeWrittenShutTheDoor(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename"} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprintf("%s: %v", op, cause), func(t *testing.T) {
				t.Parallel()
				cfg, disk, log := faulty(t, 0)
				shortWindow(&cfg)
				n := run(t, cfg)
				ids := filepath.Join(cfg.Data, "ids")
				disk.obey(func(o, path string) error {
					if strings.HasPrefix(path, ids) {
						return failing(cause, op, ids)(o, path)
					}
					return nil
				})
				if _, err := n.Ingest(t.Context(), idBatch(0, worthARun)); err != nil {
					t.Fatal(err)
				}
				// Log time ends the generation, whose ids are to become a run then.
				sent := worthARun
				var answer *client.Error
				await(t, "events are refused", func() bool {
					_, err := n.Ingest(t.Context(), idBatch(sent, 1))
					if err == nil {
						sent++
						return false
					}
					return errors.As(err, &answer) && strings.Contains(answer.Error(), cause.Error())
				})
				if answer.Status != http.StatusServiceUnavailable {
					t.Errorf("answer %v", answer)
				}
				if v := n.metric(t, "crest_ids_waiting"); v != 1 {
					t.Errorf("crest_ids_waiting %v", v)
				}
				if err := n.Client.Ready(t.Context()); err != nil {
					t.Errorf("readyz: %v", err)
				}
				if h, err := n.Health(t.Context()); err != nil || h.Status != "degraded" || !strings.Contains(h.Reason, cause.Error()) {
					t.Errorf("health %+v, %v", h, err)
				}
				if got := n.count(t, "t", ""); got == 0 {
					t.Error("reads do not go on")
				}
				disk.obey(nil)
				await(t, "events are taken again", func() bool {
					_, err := n.Ingest(t.Context(), idBatch(sent, 1))
					if err == nil {
						sent++
					}
					return err == nil
				})
				log.want(t, 1, "event ids cannot be written: no events are taken until they can")
				log.want(t, 1, "event ids can be written again")
				log.want(t, 0, "partition stopped")
				await(t, "all counted", func() bool { return n.count(t, "t", "") == uint64(sent) })
				if err := n.stop(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestAStopDoesNotWaitForIDs stops a node while a run cannot be written.
func TestAStopDoesNotWaitForIDs(t *testing.T) {
	cfg, disk, _ := faulty(t, 0)
	shortWindow(&cfg)
	n := run(t, cfg)
	ids := filepath.Join(cfg.Data, "ids")
	disk.obey(failing(syscall.ENOSPC, "create", ids))
	sent := 0
	await(t, "events are refused", func() bool {
		_, err := n.Ingest(t.Context(), idBatch(sent, worthARun))
		if err == nil {
			sent += worthARun
		}
		return err != nil
	})
	began := time.Now()
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 30*time.Second { // not StopTimeout
		t.Errorf("the stop took %v", took)
	}
	disk.obey(nil)
	n = run(t, cfg)
	if got := n.count(t, "t", ""); got != uint64(sent) {
		t.Errorf("%d counted after the restart, want %d", got, sent)
	}
}

// TestTheFloorStopsEventsBeforeTheDiskIsFull fills a disk from outside: events
// stop at the floor, so that runs of ids and snapshots still have room, nothing
// fails, and all goes on once there is room again.
func TestTheFloorStopsEventsBeforeTheDiskIsFull(t *testing.T) {
	cfg, disk, log := faulty(t, 64<<20)
	cfg.MinFree = 8 << 20
	shortWindow(&cfg)
	n := runOn(t, cfg, Ground{Log: diskSpace(disk)})
	if _, err := n.Ingest(t.Context(), idBatch(0, worthARun)); err != nil {
		t.Fatal(err)
	}
	disk.setFree(cfg.MinFree - 1)
	began := time.Now()
	sent := worthARun
	var answer *client.Error
	await(t, "events are refused", func() bool {
		_, err := n.Ingest(t.Context(), idBatch(sent, 1))
		if err == nil {
			sent++
			return false
		}
		return errors.As(err, &answer) && strings.Contains(answer.Error(), "free space")
	})
	if late := time.Since(began); late > 10*time.Second { // it looks once a second
		t.Errorf("the floor was noticed after %v", late)
	}
	if answer.Status != http.StatusServiceUnavailable {
		t.Errorf("answer %v", answer)
	}
	if _, err := n.core.engine.Snapshot(t.Context()); err != nil {
		t.Errorf("a snapshot has no room above the floor: %v", err)
	}
	runs := func() int {
		files, err := filepath.Glob(filepath.Join(cfg.Data, "ids", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	disk.setFree(16 << 20)
	await(t, "events are taken again, and their ids become a run", func() bool {
		_, err := n.Ingest(t.Context(), idBatch(sent, worthARun))
		if err == nil {
			sent += worthARun
		}
		return err == nil && runs() > 0
	})
	if disk.failed() != 0 {
		t.Errorf("%d operations found no room", disk.failed())
	}
	await(t, "all counted", func() bool { return n.count(t, "t", "") == uint64(sent) })
	log.want(t, 1, "no events are taken: free space below the floor")
	log.want(t, 1, "events are taken again: there is free space")
	log.want(t, 0, "event ids cannot be written")
}

// TestAFullDiskGivesTheReserveUp has another process take all the room, the log
// fail in the middle of a write, the node stop and start again without a byte
// free: there is room for the snapshots and the start all the same.
func TestAFullDiskGivesTheReserveUp(t *testing.T) {
	cfg, disk, log := faulty(t, 64<<20)
	cfg.Reserve = 4 << 20
	ground := Ground{Log: diskSpace(disk)}
	s := &tries{running: runOn(t, cfg, ground)}
	file := filepath.Join(cfg.Data, "reserve")
	if info, err := os.Stat(file); err != nil || info.Size() != cfg.Reserve || s.metric(t, "crest_reserve_bytes") != float64(cfg.Reserve) {
		t.Fatalf("reserve file %v, %v", info, err)
	}
	for range 20 {
		if err := s.one(t); err != nil {
			t.Fatal(err)
		}
	}
	disk.setFree(100)
	if answer := s.until(t); !strings.Contains(answer.Error(), syscall.ENOSPC.Error()) {
		t.Errorf("answer %v", answer)
	}
	s.stopsWith(t, syscall.ENOSPC)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the reserve was not given up: %v", err)
	}
	log.want(t, 1, "the reserve file is given up")
	log.want(t, 0, "the snapshots at the stop failed")

	// The start itself needs room: for the file that the log goes on in.
	disk.setFree(100)
	if _, err := newNode(context.Background(), cfg, ground); !reserve.IsFull(err) || !strings.Contains(err.Error(), "free space on the one that holds "+cfg.Data) {
		t.Errorf("a start without room: %v", err)
	}
	disk.setFree(20 << 20)
	s.running = runOn(t, cfg, ground)
	s.settle(t)
	if info, err := os.Stat(file); err != nil || info.Size() != cfg.Reserve {
		t.Errorf("the reserve file is not there again: %v, %v", info, err)
	}
	// Full again while it is stopped: now the reserve pays for the start.
	s.stopsWith(t, nil)
	segments, err := filepath.Glob(filepath.Join(cfg.Data, "log", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	last := segments[len(segments)-1] // with an unfinished write: a new file goes on behind it
	write(t, last, append(read(t, last), "half a frame"...))
	disk.setFree(0)
	s.running = runOn(t, cfg, ground)
	if v := s.metric(t, "crest_reserve_bytes"); v != 0 {
		t.Errorf("crest_reserve_bytes %v after a start on a full disk", v)
	}
	if got := s.counted(t); got != s.next {
		t.Errorf("%d counted, want %d", got, s.next)
	}
	// With room it is made again behind the next snapshot.
	disk.setFree(32 << 20)
	if err := s.one(t); err != nil {
		t.Fatal(err)
	}
	if _, err := s.core.engine.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := s.metric(t, "crest_reserve_bytes"); v != float64(cfg.Reserve) {
		t.Errorf("crest_reserve_bytes %v once there is room", v)
	}
}

// TestARoomGivenUpIsNotRoomForEvents: what the reserve has given up does not
// count as free space, or events would fill it.
func TestARoomGivenUpIsNotRoomForEvents(t *testing.T) {
	cfg, disk, _ := faulty(t, 64<<20)
	cfg.MinFree, cfg.Reserve = 8<<20, 4<<20
	n := runOn(t, cfg, Ground{Log: diskSpace(disk)})
	if !n.core.reserve.GiveUp("a test", syscall.ENOSPC) {
		t.Fatal("there is no reserve")
	}
	for _, c := range []struct {
		free  int64
		taken bool
	}{{12<<20 - 1, false}, {12 << 20, true}, {9 << 20, false}} {
		disk.setFree(c.free)
		await(t, fmt.Sprintf("with %d bytes free events are taken: %t", c.free, c.taken), func() bool {
			return (n.core.log.Err() == nil) == c.taken
		})
	}
}

// TestASnapshotThatDoesNotFitLeavesNothingBehind fails snapshots for lack of
// room, again and again: what they wrote must not take the room that is left.
func TestASnapshotThatDoesNotFitLeavesNothingBehind(t *testing.T) {
	cfg, disk, _ := faulty(t, 256<<20)
	one := 1
	cfg.Partitions = &one
	n := runOn(t, cfg, Ground{Log: diskSpace(disk), Snapshots: func(c *snapshot.Config) { c.ObjectBytes = 8 << 10 }})
	var b strings.Builder
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 { // names that cannot be compressed below 160 KiB
		fmt.Fprintf(&b, `{"topic":"%016x"}`+"\n", rng.Uint64())
	}
	pos := n.send(t, b.String(), "")
	n.count(t, "t", pos)
	disk.setFree(100 << 10)
	before := disk.free()
	for range 5 {
		if _, err := n.core.engine.Snapshot(t.Context()); !reserve.IsFull(err) {
			t.Fatalf("snapshot: %v", err)
		}
	}
	// What can be left over is a temporary of the attempt that found no room.
	if lost := before - disk.free(); lost > 50<<10 {
		t.Errorf("five snapshots that failed left %d bytes behind", lost)
	}
	disk.setFree(64 << 20)
	if _, err := n.core.engine.Snapshot(t.Context()); err != nil {
		t.Error(err)
	}
}
