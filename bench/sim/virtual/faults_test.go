package virtual

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
	"github.com/crestdb/crest/persistence/persistencetest"
	"github.com/crestdb/crest/persistence/snapshot"
)

func diskError(rng *rand.Rand) error {
	return one[error](rng, syscall.EIO, syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EMFILE)
}

func (s *sim) restart() {
	s.stop(s.rng.IntN(3) > 0)
	s.pass(time.Duration(s.rng.IntN(600)) * time.Second)
	s.reboot()
}

// fall is a crash, in the middle of requests and snapshots where things happen
// at the same time.
func (s *sim) fall(power bool) {
	if !s.orderly {
		s.unwell = true
		s.launch()
		if s.rng.IntN(2) == 0 {
			s.flights.Go(s.takeSnapshots)
		}
		if power && s.rng.IntN(2) == 0 {
			s.fs.Inject(persistencetest.Fault{At: s.fs.Ops() + 1 + s.rng.IntN(120), PowerOff: true})
		}
		time.Sleep(time.Duration(s.rng.IntN(1000)) * time.Millisecond)
	}
	s.crash(power)
	s.pass(time.Duration(s.rng.IntN(600)) * time.Second)
	s.reboot()
}

// mend restarts a node that a fault may have broken, one way or another.
func (s *sim) mend() {
	switch s.rng.IntN(3) {
	case 0:
		s.stop(true)
	case 1:
		s.crash(false)
	default:
		s.crash(true)
	}
	s.reboot()
}

// breakDisk has operations of the disk fail under way.
func (s *sim) breakDisk() {
	if s.orderly {
		return
	}
	s.unwell = true
	s.fs.Inject(persistencetest.Fault{
		At: s.fs.Ops() + 1 + s.rng.IntN(80), Err: diskError(s.rng), Sticky: s.rng.IntN(3) == 0, Short: s.rng.IntN(2) == 0,
	})
	s.launch()
	s.takeSnapshots()
	s.flights.Wait()
	s.look()
	s.sendSome()
	s.look()
	if s.rng.IntN(2) == 0 {
		s.fs.Inject(persistencetest.Fault{})
	}
	s.mend()
}

// fillDisk: below the floor no events are taken, and reads are answered; with
// room again they are.
func (s *sim) fillDisk() {
	s.unwell = true
	s.free.Store(1000)
	s.pass(2 * time.Second)
	r := s.newRequest(s.rng, 3)
	r.events[0].refused, r.events[0].at = false, 0
	r.write()
	if a := s.send(context.Background(), r); a.status != http.StatusServiceUnavailable {
		s.violate("a request to a full disk is answered %v", &a)
	}
	s.remember(r)
	s.look()
	s.free.Store(1 << 40)
	s.pass(2 * time.Second)
	s.unwell = false
	s.expect(r, s.send(context.Background(), r))
}

// breakStore has the store of snapshots fail for a while: nothing else does.
func (s *sim) breakStore() {
	if s.orderly {
		return
	}
	s.storeFaults = s.plan.store
	s.store.Set(s.storeFaults)
	if s.rng.IntN(3) == 0 {
		s.store.Inject(faultstore.Fault{At: s.store.Ops() + 1 + s.rng.IntN(30), Done: s.rng.IntN(2) == 0, Sticky: s.rng.IntN(2) == 0})
	}
	for range 1 + s.rng.IntN(4) {
		s.sendSome()
		s.unwell = true
		s.takeSnapshots()
		s.unwell = false
		if err := s.core.Engine().Ready(); err != nil {
			s.violate("a store that fails has stopped the node: %v", err)
		}
	}
	if s.rng.IntN(2) == 0 {
		s.unwell = true
		s.mend()
	}
	s.storeFaults = faultstore.Faults{}
	s.store.Set(s.storeFaults)
	s.store.Inject(faultstore.Fault{})
}

// rival takes a partition over in the store: from then on nothing that the node
// saves there may count.
func (s *sim) rival() {
	s.sendSome()
	ctx := context.Background()
	objects, err := objectstore.Dir(s.fs, storeDir)
	if err != nil {
		s.violate("open the store: %v", err)
	}
	defer func() { _ = objects.Close() }()
	c := snapshot.DefaultConfig()
	c.Owner = "rival"
	id := s.core.Log().Identity()
	other, err := snapshot.New(objects, &id, c)
	if err != nil {
		s.violate("%v", err)
	}
	p := messages.Partition(s.rng.IntN(s.partitions))
	owned, err := other.Take(ctx, p)
	if err != nil {
		s.violate("take over: %v", err)
	}
	s.unwell = true
	roots := fmt.Sprint(owned.Roots())
	s.sendSome()
	s.takeSnapshots()
	listed, err := snapshot.List(ctx, objects)
	if err != nil {
		s.violate("list: %v", err)
	}
	for _, l := range listed {
		if l.Partition == p && (l.Owner != "rival" || l.Epoch != owned.Epoch() || fmt.Sprint(l.Roots) != roots) {
			s.violate("partition %d was taken over, and its former owner has put %q, epoch %d, roots %v in place of %v", p, l.Owner, l.Epoch, l.Roots, roots)
		}
	}
	s.stop(true)
	s.reboot()
}

// stepClock sets the wall clock, by up to an hour.
func (s *sim) stepClock() {
	by := time.Duration(s.rng.Int64N(int64(2*time.Hour))) - time.Hour
	if s.rng.IntN(2) == 0 {
		by = one(s.rng, time.Hour, -time.Hour)
	}
	s.trace("by %v", by)
	s.wallStep.Add(int64(by / time.Microsecond))
	for range 1 + s.rng.IntN(4) {
		s.sendSome()
		s.pass(time.Duration(s.rng.IntN(30)) * time.Second)
	}
}
