package objectstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// contest is several owners who each add lines to one object by conditional
// puts. Every line is somebody's only once, so the object tells which puts
// happened, and their answers have to agree.
type contest struct {
	mu       sync.Mutex
	done     []string // lines whose put succeeded
	refused  []string // lines whose put was refused: ErrExists, ErrChanged, no turn
	unknown  int      // puts with another error
	failures []string
}

const contested = "manifest"

// enter has a store's user try to add lines until so many puts were answered.
func (c *contest) enter(t *testing.T, s objectstore.Store, user, puts int) {
	for i := 0; i < puts; {
		line := fmt.Sprintf("%d:%d\n", user, i)
		body, v, err := s.Get(t.Context(), contested)
		switch {
		case errors.Is(err, objectstore.ErrNotFound):
			_, err = s.PutIfAbsent(t.Context(), contested, []byte(line))
		case err != nil:
			if t.Context().Err() != nil {
				return
			}
			continue
		default:
			_, err = s.PutIfMatch(t.Context(), contested, append(body, line...), v)
		}
		i++
		c.mu.Lock()
		switch {
		case err == nil:
			c.done = append(c.done, line)
		case errors.Is(err, objectstore.ErrExists) || errors.Is(err, objectstore.ErrChanged) || inUse(err):
			c.refused = append(c.refused, line)
		default:
			c.unknown++
			c.failures = append(c.failures, err.Error())
		}
		c.mu.Unlock()
	}
}

// judge compares what the users were told with what has become of the object.
func (c *contest) judge(t *testing.T, s objectstore.Store) {
	t.Helper()
	body, _ := get(t, s, contested)
	times := map[string]int{}
	for line := range strings.Lines(body) {
		times[line]++
	}
	lost, undead := 0, 0
	for _, line := range c.done {
		if times[line] != 1 {
			lost++
		}
	}
	for _, line := range c.refused {
		if times[line] != 0 {
			undead++
		}
	}
	t.Logf("%d puts done, %d refused, %d unknown; %d lines", len(c.done), len(c.refused), c.unknown, len(times))
	if lost > 0 || undead > 0 {
		t.Errorf("%d puts that succeeded are not there, %d that were refused are", lost, undead)
	}
	if len(c.done) == 0 {
		t.Error("no put ever succeeded")
	}
	if n := len(c.done) + c.unknown; len(times) > n {
		t.Errorf("%d lines of %d puts", len(times), n)
	}
}

// run has users contend, each with a store of its own.
func (c *contest) run(t *testing.T, puts int, stores ...objectstore.Store) {
	var users sync.WaitGroup
	for user, s := range stores {
		users.Go(func() { c.enter(t, s, user, puts) })
	}
	users.Wait()
}

func TestOneOfManyConditionalPutsSucceeds(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		one, two := open(), open()
		var c contest
		c.run(t, 40, one, one, two, two)
		c.judge(t, open())
		if c.unknown > 0 {
			t.Errorf("%d errors of another kind: %s", c.unknown, c.failures[0])
		}
	})
}

func TestOneOfManyFirstPutsSucceeds(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		stores := []objectstore.Store{open(), open()}
		for round := range 10 {
			key := fmt.Sprintf("first/%d", round)
			winners := make(chan int, 8)
			var users sync.WaitGroup
			for user := range cap(winners) {
				users.Go(func() {
					_, err := stores[user%2].PutIfAbsent(t.Context(), key, fmt.Append(nil, user))
					switch {
					case err == nil:
						winners <- user
					case !errors.Is(err, objectstore.ErrExists):
						t.Error(err)
					}
				})
			}
			users.Wait()
			close(winners)
			winner, ok := <-winners
			if body, _ := get(t, stores[0], key); !ok || len(winners) > 0 || body != fmt.Sprint(winner) {
				t.Fatalf("round %d: user %d and %d others won, the object is %s's", round, winner, len(winners), body)
			}
		}
	})
}

// TestConditionalPutsHoldWhateverFails: whoever was told that a put succeeded,
// or that it did not, was told the truth.
func TestConditionalPutsHoldWhateverFails(t *testing.T) {
	all := []faultstore.Answer{
		faultstore.Internal, faultstore.Slowdown, faultstore.Late, faultstore.Conflict, faultstore.Reset,
		faultstore.Lost, faultstore.Hang, faultstore.HangAfter, faultstore.Cut, faultstore.Refused,
	}
	contend := func(t *testing.T, seed uint64, open func(change func(*objectstore.Config)) objectstore.Store) {
		var stores []objectstore.Store
		for user := range uint64(3) {
			stores = append(stores, open(func(c *objectstore.Config) {
				c.Transport = &faultstore.Transport{Decide: faultstore.Random(10*seed+user, 0.35, all...)}
				c.Attempts, c.Timeout, c.Backoff = 1+int(seed), 50*time.Millisecond, time.Millisecond
			}))
		}
		var c contest
		c.run(t, 40, stores...)
		c.judge(t, open(func(*objectstore.Config) {}))
	}
	for seed := range uint64(6) {
		if realServer(t) != nil {
			t.Run(fmt.Sprintf("s3 real/seed=%d", seed), func(t *testing.T) { contend(t, seed, realPlace(t)) })
		}
		t.Run(fmt.Sprintf("s3 imitated/seed=%d", seed), func(t *testing.T) {
			server := newServer(t)
			contend(t, seed, func(change func(*objectstore.Config)) objectstore.Store { return server.openWith(t, nil, change) })
		})
	}
}
