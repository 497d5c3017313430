package virtual

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/crestdb/crest/messages"
)

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
	{"damage", 4, (*sim).damage},
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
