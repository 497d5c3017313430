package virtual

import (
	"context"
	"errors"
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

// step is one thing that happens, with how often it does.
type step struct {
	name  string
	share int
	do    func(*sim)
}

var steps = []step{
	{"send", 30, (*sim).sendSome},
	{"burst", 12, (*sim).burst},
	{"retry", 14, (*sim).retry},
	{"impostor", 3, (*sim).impostor},
	{"snapshot", 8, (*sim).snapshot},
	{"restart", 4, (*sim).restart},
	{"power loss", 4, func(s *sim) { s.fall(true) }},
	{"kill", 3, func(s *sim) { s.fall(false) }},
	{"disk", 6, (*sim).breakDisk},
	{"full disk", 2, (*sim).fillDisk},
	{"store", 5, (*sim).breakStore},
	{"damage", 3, (*sim).damage},
	{"rival", 2, (*sim).rival},
	{"clock", 3, (*sim).stepClock},
	{"silence", 3, (*sim).silence},
	{"flood", 1, (*sim).floodIDs},
}

// next draws what happens next.
func (s *sim) next() step {
	all := 0
	for _, st := range steps {
		all += st.share
	}
	n := s.rng.IntN(all)
	for _, st := range steps {
		if n -= st.share; n < 0 {
			return st
		}
	}
	panic("unreachable")
}

// remember keeps a request to be sent again.
func (s *sim) remember(r *request) {
	if r.retryable() {
		s.sent = append(s.sent, r)
		s.sent = s.sent[max(0, len(s.sent)-300):]
	}
}

// expect checks an answer to events: a node without faults takes them, unless its
// table of ids is small.
func (s *sim) expect(r *request, a answer) {
	refused := 0
	for i := range r.events {
		if r.events[i].refused || r.events[i].doubtful {
			refused++
		}
	}
	switch {
	case a.status == http.StatusOK, s.unwell:
	case a.status == http.StatusUnprocessableEntity && refused == len(r.events):
	case a.status == http.StatusTooManyRequests && s.dedupMemory != 0:
	default:
		s.violate("request %d to a node without faults is answered %v", r.number, &a)
	}
	if s.orderly {
		s.note("request %d: %d, %d rejected, %s", r.number, a.status, len(a.ingested.Errors), a.detail)
	}
}

func (s *sim) sendSome() {
	for range 1 + s.rng.IntN(5) {
		r := s.newRequest(s.rng, 1+s.rng.IntN(30))
		a := s.send(context.Background(), r)
		s.remember(r)
		s.expect(r, a)
		s.pass(time.Duration(s.rng.IntN(3000)) * time.Millisecond)
	}
}

// launch sends requests at the same time, some of them several times, by clients
// some of whom give up.
func (s *sim) launch() {
	for range 1 + s.rng.IntN(8) {
		var mine []*request
		for range 1 + s.rng.IntN(4) {
			r := s.newRequest(s.rng, 1+s.rng.IntN(20))
			if old := s.old(); old != nil && s.rng.IntN(3) == 0 {
				r = old
			}
			s.remember(r)
			mine = append(mine, r)
		}
		rng := rand.New(rand.NewPCG(s.rng.Uint64(), 1))
		s.flights.Go(func() {
			for _, r := range mine {
				for range 1 + rng.IntN(2) {
					ctx, cancel := context.Background(), context.CancelFunc(func() {})
					if rng.IntN(6) == 0 {
						ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
					}
					a := s.send(ctx, r)
					if ctx.Err() == nil && a.status == http.StatusServiceUnavailable && !s.unwell {
						s.complain("request %d to a node without faults is answered %v", r.number, &a)
					}
					cancel()
					time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
					if !r.retryable() {
						break
					}
				}
			}
		})
	}
}

// burst is much at once, and snapshots in the middle of it; one after the other on
// an orderly day.
func (s *sim) burst() {
	if s.orderly {
		for range 10 + s.rng.IntN(20) {
			s.pass(0)
			r := s.newRequest(s.rng, 1+s.rng.IntN(20))
			a := s.send(context.Background(), r)
			s.remember(r)
			s.expect(r, a)
		}
		return
	}
	s.launch()
	for range s.rng.IntN(3) {
		time.Sleep(time.Duration(s.rng.IntN(300)) * time.Millisecond)
		s.takeSnapshots()
	}
	s.flights.Wait()
}

// old is a request that was sent and may be sent again, nil if there is none.
// Only those of the last two hours: later, what was too far ahead is no more.
func (s *sim) old() *request {
	if len(s.sent) == 0 {
		return nil
	}
	r := s.sent[s.rng.IntN(len(s.sent))]
	if s.rng.IntN(2) == 0 {
		r = s.sent[len(s.sent)-1-s.rng.IntN(min(5, len(s.sent)))]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now()-r.first > 2*messages.Hour {
		return nil
	}
	return r
}

func (s *sim) retry() {
	for range 1 + s.rng.IntN(4) {
		if s.orderly {
			s.pass(0)
		}
		if r := s.old(); r != nil {
			s.expect(r, s.send(context.Background(), r))
		}
	}
}

// impostor sends something else under a key that is certainly known.
func (s *sim) impostor() {
	r := s.old()
	if r == nil || s.unwell || !r.known(s.now(), s.promises.window) {
		return
	}
	other := *r
	other.events = append([]event(nil), r.events...)
	other.events[0].count++
	other.write()
	w := s.ask(context.Background(), http.MethodPost, "/api/v1/events", other.key, other.body)
	if w.Code != http.StatusConflict && (w.Code != http.StatusTooManyRequests || s.dedupMemory == 0) {
		s.violate("another body under key %s, known since %v, is answered %d: %s", r.key, r.stamped.Time(), w.Code, w.Body)
	}
}

func (s *sim) takeSnapshots() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	taken, err := s.core.Engine().Snapshot(ctx)
	s.taken += len(taken)
	if err != nil && !s.unwell && !errors.Is(err, context.DeadlineExceeded) {
		s.violate("snapshots of a node without faults: %v", err)
	}
}

func (s *sim) snapshot() { s.takeSnapshots() }

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
	if !r.retryable() {
		return
	}
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

func (s *sim) silence() { s.pass(time.Duration(s.rng.Int64N(int64(3 * time.Hour)))) }

// floodIDs is so many ids that they do not stay in memory.
func (s *sim) floodIDs() {
	if !s.plan.flood || s.flooded {
		return
	}
	s.flooded = true
	for range 10 {
		s.pass(0)
		r := s.newRequest(s.rng, 1000)
		r.key = ""
		for i := range r.events {
			e := &r.events[i]
			s.ids++
			e.topic, e.id, e.refused, e.doubtful, e.at = "t0", fmt.Sprint(s.ids), false, false, 0
		}
		r.write()
		a := s.send(context.Background(), r)
		s.remember(r)
		s.expect(r, a)
	}
}
