package virtual

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// sim is one seed's day.
type sim struct {
	*plan
	rng    *rand.Rand // of the one goroutine that decides
	logger *slog.Logger

	fs          *persistencetest.FS
	free        atomic.Int64 // bytes of free disk
	wallStep    atomic.Int64 // microseconds that the wall clock is ahead
	storeFaults faultstore.Faults
	store       *faultstore.Store // of the node that runs
	broken      map[string]bool   // objects in it that were damaged

	core   *node.Core // nil: it is down
	life   life
	oracle *oracle // nil before the first start
	unwell bool    // something was broken since the start: the node may refuse

	flights  sync.WaitGroup // requests under way
	sent     []*request     // those that may be sent again, oldest first
	ids      int
	requests int
	flooded  bool
	all      uint64 // the most that the window of all has held

	mu       sync.Mutex
	promises *promises
	latest   messages.Micros // the largest node clock of an answer
	wrong    []string

	began  time.Time
	due    time.Duration // of an orderly day: its last appointment, from began
	traced []string
	notes  strings.Builder // what an orderly day brings about

	lives, taken, spoilt, stepped int
}

// violation is what a seed finds.
type violation struct{ text string }

func (s *sim) violate(format string, args ...any) { panic(violation{fmt.Sprintf(format, args...)}) }

// complain is violate for goroutines beside the one that decides.
func (s *sim) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (s *sim) complaint() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) > 0 {
		return fmt.Errorf("%s", s.wrong[0])
	}
	return nil
}

func (s *sim) trace(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.traced = append(s.traced, fmt.Sprintf("%v %s", time.Since(s.began).Round(time.Second), text))
}

func (s *sim) note(format string, args ...any) { fmt.Fprintf(&s.notes, format+"\n", args...) }

// look is a check, a violation if it finds something.
func (s *sim) look() {
	if err := s.check(1); err != nil {
		s.violate("%v", err)
	}
}

// outcome is what became of a seed.
type outcome struct {
	wrong                       string // "" if nothing is
	plan                        *plan
	last                        []string
	digests                     []messages.Digest
	notes                       string
	entries                     uint64
	lives, taken, spoilt, steps int
}

func newSim(p *plan) *sim {
	s := &sim{plan: p, rng: rand.New(rand.NewPCG(p.seed, 0x646179)), promises: newPromises(p.dedupWindow), began: time.Now(), broken: map[string]bool{}}
	s.fs = s.newDisk()
	s.well()
	return s
}

// live runs a seed in a bubble of its own.
func live(t *testing.T, p *plan, hours float64) (o outcome) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(p)
		o.wrong = s.watch(func() { s.day(time.Duration(hours * float64(time.Hour))) })
		o.plan, o.last, o.notes = p, s.traced[max(0, len(s.traced)-25):], s.notes.String()
		o.lives, o.taken, o.spoilt, o.steps = s.lives, s.taken, s.spoilt, s.stepped
		if s.oracle != nil {
			for _, l := range s.oracle.ledgers() {
				o.digests = append(o.digests, l.Digest)
				o.entries += l.Logged
			}
		}
	})
	return o
}

// watch lives through something and returns what is wrong, "" if nothing is. No
// node runs when it returns.
func (s *sim) watch(through func()) (wrong string) {
	defer func() {
		if s.core != nil {
			_ = s.end()
		}
	}()
	defer func() {
		if v := recover(); v != nil {
			found, ok := v.(violation)
			if !ok {
				buf := make([]byte, 8<<10)
				found.text = fmt.Sprintf("panic: %v\n%s", v, buf[:runtime.Stack(buf, false)])
			}
			wrong = found.text
		}
	}()
	through()
	return ""
}

func (s *sim) day(length time.Duration) {
	if err := s.boot(); err != nil {
		s.violate("a new node does not start: %v", err)
	}
	for time.Since(s.began) < length {
		st := s.next()
		s.stepped++
		s.trace("%s", st.name)
		if s.orderly {
			s.note("%v %s", time.Since(s.began), st.name)
		}
		st.do(s)
		s.look()
		s.pass(time.Duration(s.rng.ExpFloat64() * float64(s.pace)))
	}
	s.lastDay()
}

// lastDay looks at everything, before and after a last restart.
func (s *sim) lastDay() {
	if s.unwell {
		s.mend()
	}
	for range 2 {
		if err := s.check(12); err != nil {
			s.violate("at the end: %v", err)
		}
		s.trace("last restart")
		s.stop(true)
		s.reboot()
	}
	s.stop(false)
}

func (o *outcome) String() string {
	return fmt.Sprintf("%v\nlast steps:\n  %s\n%s", o.plan, strings.Join(o.last, "\n  "), o.wrong)
}

// setting is a number from the environment.
func setting(t *testing.T, name string, otherwise float64) float64 {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestDays: whatever happens on a day, what the node says is what the log counts,
// and the log is what clients were told.
func TestDays(t *testing.T) {
	seeds, first, hours := int(setting(t, "CREST_SIM_SEEDS", 5)), int(setting(t, "CREST_SIM_FIRST", 0)), setting(t, "CREST_SIM_HOURS", 24)
	began := time.Now()
	var steps, lives, taken, spoilt, wrong int
	var entries uint64
	for seed := first; seed < first+seeds && wrong < 5; seed++ {
		o := live(t, newPlan(uint64(seed)), hours)
		if o.wrong != "" {
			wrong++
			t.Errorf("%v", &o)
		}
		if o.wrong == "" && testing.Verbose() && (seed-first+1)%100 == 0 {
			t.Logf("seed %d, %v", seed, time.Since(began).Round(time.Second))
		}
		steps, lives, taken, spoilt, entries = steps+o.steps, lives+o.lives, taken+o.taken, spoilt+o.spoilt, entries+o.entries
	}
	took := time.Since(began)
	t.Logf("%d days of %v h: %d steps, %d lives, %d snapshots asked for, %d damaged, %d events; %v a day",
		seeds, hours, steps, lives, taken, spoilt, entries, (took / time.Duration(max(1, seeds))).Round(time.Millisecond))
}

// TestASeedTwice: an orderly day follows from its seed, whatever the scheduler
// does.
func TestASeedTwice(t *testing.T) {
	for seed := range max(2, uint64(setting(t, "CREST_SIM_SEEDS", 0)/10)) {
		p := newPlan(1000 + seed)
		p.orderly = true
		first, second := live(t, p, 6), live(t, p, 6)
		switch {
		case first.wrong != "":
			t.Errorf("%v", &first)
		case first.notes != second.notes:
			t.Errorf("%v\nanswers differ: %s", p, difference(first.notes, second.notes))
		case fmt.Sprint(first.digests) != fmt.Sprint(second.digests) || first.entries != second.entries:
			t.Errorf("%v\ndigests %v of %d events, then %v of %d", p, first.digests, first.entries, second.digests, second.entries)
		}
	}
}

// difference is the first line that two texts do not share.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d of %d is %q, then %q", i, len(x), x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines, then %d", len(x), len(y))
}
