package virtual

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

// damage is done to the snapshots or the log of a node that is down. Where an older one is
// left, or all of the log, the node starts as if nothing had happened; else it
// refuses, and starts once they have been put back.
func (s *sim) damage() {
	switch s.rng.IntN(3) {
	case 0:
		s.core.LastSnapshot()
	case 1:
		s.pileUp()
	}
	whole := s.wholeLog()
	s.stop(false)
	s.well()
	backup := s.fs.Clone(s.rng.Uint64())
	backup.SyncDelay = s.fs.SyncDelay
	broken := maps.Clone(s.broken)
	what, must := s.spoil(whole)
	err := s.boot()
	s.trace("%s (must start: %v): %v", what, must, err)
	switch {
	case err != nil && must:
		s.violate("after %s a node does not start: %v", what, err)
	case err != nil && errors.Is(err, context.DeadlineExceeded):
		s.violate("after %s a node neither starts nor says why not", what)
	case err != nil:
		s.fs, s.broken = backup, broken
		s.reboot()
	}
}

// pileUp makes some snapshots with much of the log between them, so that it is
// trimmed as far as they allow.
func (s *sim) pileUp() {
	for range 1 + s.keepRoots {
		s.burst()
		s.takeSnapshots()
		s.pass(11 * time.Minute)
	}
	s.sendSome()
	s.takeSnapshots()
}

// spoil breaks something, and tells what, and whether a node must start with it.
func (s *sim) spoil(whole bool) (what string, must bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	objects, err := objectstore.Dir(s.fs, storeDir)
	if err != nil {
		s.violate("open the store: %v", err)
	}
	defer func() { _ = objects.Close() }()
	listed, err := snapshot.List(ctx, objects)
	if err != nil {
		s.violate("list the snapshots: %v", err)
	}
	var keys []string
	if err := objects.List(ctx, "", func(i objectstore.Info) error { keys = append(keys, i.Key); return nil }); err != nil {
		s.violate("list the store: %v", err)
	}
	switch s.rng.IntN(6) {
	case 4, 5:
		return s.spoilLog(), false
	case 0:
		for _, k := range keys {
			s.change(ctx, objects, k, true)
		}
		s.broken = map[string]bool{}
		return "deleting all snapshots", whole
	case 1:
		// Something, whatever it is. Names are random, so no seed says which.
		if len(keys) == 0 || s.orderly {
			return "nothing", true
		}
		k := one(s.rng, keys...)
		s.change(ctx, objects, k, s.rng.IntN(2) == 0)
		return "damage to " + k, !strings.Contains(k, "/")
	}
	// The newest of every partition that has one to spare.
	spoilt := 0
	for _, l := range listed {
		if s.spare(&l) {
			s.change(ctx, objects, l.Roots[0].Key, s.rng.IntN(2) == 0)
			spoilt++
		}
	}
	s.spoilt += spoilt
	return "damage to the newest snapshots", !s.anyBroken()
}

// spoilLog damages a file of the log, or takes it away. Whatever that is, a node
// that starts has all of the log; else it refuses.
func (s *sim) spoilLog() string {
	dir := dataDir + "/log"
	names, err := s.fs.List(dir)
	if err != nil || len(names) == 0 {
		s.violate("list the log: %v, %v", names, err)
	}
	name := one(s.rng, names...)
	file := dir + "/" + name
	body := s.fs.ReadFile(file)
	if len(body) == 0 || s.rng.IntN(5) == 0 {
		s.fs.WriteFile(file, nil)
		return "taking away the log's " + name
	}
	at := s.rng.IntN(len(body))
	if s.rng.IntN(4) == 0 {
		s.fs.WriteFile(file, body[:at:at])
		return fmt.Sprintf("cutting the log's %s off at byte %d", name, at)
	}
	body[at] ^= byte(1 + s.rng.IntN(255))
	s.fs.WriteFile(file, body)
	return fmt.Sprintf("damage to byte %d of the log's %s", at, name)
}

// spare tells whether a partition has a snapshot beside the newest that was left
// alone so far.
func (s *sim) spare(l *snapshot.Listing) bool {
	return slices.ContainsFunc(l.Roots[min(1, len(l.Roots)):], func(r snapshot.RootInfo) bool { return !s.broken[r.Key] })
}

// anyBroken tells whether anything but a root was broken: then it is not known
// which snapshots have lost a part.
func (s *sim) anyBroken() bool {
	for key := range s.broken {
		if !strings.HasSuffix(key, ".root") {
			return true
		}
	}
	return false
}

// change deletes an object or turns some of its bits.
func (s *sim) change(ctx context.Context, objects objectstore.Store, key string, remove bool) {
	s.broken[key] = true
	if remove {
		if err := objects.Delete(ctx, key); err != nil {
			s.violate("delete %s: %v", key, err)
		}
		return
	}
	body, _, err := objects.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return // it was deleted before
	}
	if err != nil {
		s.violate("read %s: %v", key, err)
	}
	if len(body) == 0 {
		return
	}
	body[s.rng.IntN(len(body))] ^= byte(1 + s.rng.IntN(255))
	if _, err := objects.Put(ctx, key, body); err != nil {
		s.violate("write %s: %v", key, err)
	}
}

// wholeLog tells whether the log can still be read from its beginning: else a
// node without snapshots must not count what is left of it as if it were all.
func (s *sim) wholeLog() bool {
	var b messages.Batch
	for p, end := range s.oracle.ends() {
		if end > 0 && s.core.Log().Read(context.Background(), messages.Partition(p), 0, &b) != nil {
			return false
		}
	}
	return true
}
