package faultstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crestdb/crest/persistence/objectstore"
)

// ErrInjected is in the error of every fault that has no other.
var ErrInjected = errors.New("injected fault")

// Faults are shares of operations, 0 to 1, and a wait.
type Faults struct {
	Slow time.Duration // each operation waits up to this long before it is done
	Fail float64       // operations that fail and are not done: 500, 503, 409
	Lose float64       // puts and deletes that are done and then fail: a timeout after the deed
	// Refuse is conditional puts that are refused for no reason: not done, and
	// ErrExists or ErrChanged.
	Refuse float64
	Omit   float64 // objects that a list leaves out
	Stale  float64 // lists that are those of the last list but one of the same prefix
}

// Fault is what happens at one operation. Operations are all calls of the
// store's methods but String, numbered from 1.
type Fault struct {
	At     int   // number of the operation; 0: none
	Err    error // what it returns; nil: ErrInjected
	Done   bool  // it is done nevertheless
	Sticky bool  // every later operation fails too, and is not done
}

// Store does to another store's operations what Faults say. All methods may be
// called concurrently.
type Store struct {
	inner objectstore.Store

	mu     sync.Mutex
	rng    *rand.Rand
	faults Faults
	fault  Fault
	ops    int
	lists  map[string][][]objectstore.Info // per prefix the last two
}

var _ objectstore.Store = (*Store)(nil)

// New wraps a store. The seed draws which operations are hit.
func New(inner objectstore.Store, seed uint64, f Faults) *Store {
	return &Store{
		inner:  inner,
		rng:    rand.New(rand.NewPCG(seed, 0x6372657374)),
		faults: f,
		lists:  map[string][][]objectstore.Info{},
	}
}

// Set replaces the faults from the next operation on.
func (s *Store) Set(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Inject sets the next single fault; it replaces one that has not happened.
func (s *Store) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Ops is the number of operations so far.
func (s *Store) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops
}

// verdict is what is to happen to one operation.
type verdict struct {
	before, after error // in place of the operation, and after it
	refuse, stale bool
	wait          time.Duration
	omit          float64
	seed          uint64
}

// next decides about the next operation; changes tells whether it is a put or
// a delete.
func (s *Store) next(changes bool) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops++
	// Always as many draws, so that a seed hits the same operations whatever
	// they are.
	fail, lose, refuse, stale := s.rng.Float64(), s.rng.Float64(), s.rng.Float64(), s.rng.Float64()
	v := verdict{
		refuse: refuse < s.faults.Refuse,
		stale:  stale < s.faults.Stale,
		omit:   s.faults.Omit,
		wait:   time.Duration(s.rng.Float64() * float64(s.faults.Slow)),
		seed:   s.rng.Uint64(),
	}
	if fail < s.faults.Fail {
		v.before = fmt.Errorf("%w: 503 Service Unavailable", ErrInjected)
	}
	if changes && lose < s.faults.Lose {
		v.after = fmt.Errorf("%w: the answer was lost", ErrInjected)
	}
	at := s.fault.At
	if hit := at > 0 && s.ops == at; hit || at > 0 && s.fault.Sticky && s.ops > at {
		err := s.fault.Err
		if err == nil {
			err = ErrInjected
		}
		v = verdict{before: err}
		if s.fault.Done && hit {
			v = verdict{after: err}
		}
	}
	return v
}

// do does one operation, or what its verdict says.
func (s *Store) do(ctx context.Context, op, key string, v verdict, inner func() error) error {
	if v.wait > 0 {
		t := time.NewTimer(v.wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w", op, key, ctx.Err())
		}
	}
	if v.before != nil {
		return fmt.Errorf("%s %s: %w", op, key, v.before)
	}
	err := inner()
	if v.after != nil { // whatever the answer was
		return fmt.Errorf("%s %s: %w", op, key, v.after)
	}
	return err
}

// Put stores an object.
func (s *Store) Put(ctx context.Context, key string, body []byte) (version objectstore.Version, err error) {
	err = s.do(ctx, "put", key, s.next(true), func() (err error) {
		version, err = s.inner.Put(ctx, key, body)
		return err
	})
	return known(version, err)
}

// PutIfAbsent stores an object unless there is one.
func (s *Store) PutIfAbsent(ctx context.Context, key string, body []byte) (version objectstore.Version, err error) {
	v := s.next(true)
	if v.refuse && v.before == nil {
		v.before = objectstore.ErrExists
	}
	err = s.do(ctx, "put if absent", key, v, func() (err error) {
		version, err = s.inner.PutIfAbsent(ctx, key, body)
		return err
	})
	return known(version, err)
}

// PutIfMatch replaces an object of a version.
func (s *Store) PutIfMatch(ctx context.Context, key string, body []byte, was objectstore.Version) (version objectstore.Version, err error) {
	v := s.next(true)
	if v.refuse && v.before == nil {
		v.before = objectstore.ErrChanged
	}
	err = s.do(ctx, "put if unchanged", key, v, func() (err error) {
		version, err = s.inner.PutIfMatch(ctx, key, body, was)
		return err
	})
	return known(version, err)
}

// known hides the version of a put whose answer is lost.
func known(v objectstore.Version, err error) (objectstore.Version, error) {
	if err != nil {
		return "", err
	}
	return v, nil
}

// Get is an object and its version.
func (s *Store) Get(ctx context.Context, key string) (body []byte, version objectstore.Version, err error) {
	err = s.do(ctx, "get", key, s.next(false), func() (err error) {
		body, version, err = s.inner.Get(ctx, key)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return body, version, nil
}

// GetRange is a part of an object.
func (s *Store) GetRange(ctx context.Context, key string, at, n int64) (body []byte, err error) {
	err = s.do(ctx, "get", key, s.next(false), func() (err error) {
		body, err = s.inner.GetRange(ctx, key, at, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// List calls each for the objects of a prefix, or for those it admits to.
func (s *Store) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	v := s.next(false)
	var all []objectstore.Info
	err := s.do(ctx, "list", prefix, v, func() error {
		return s.inner.List(ctx, prefix, func(i objectstore.Info) error {
			all = append(all, i)
			return nil
		})
	})
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(v.seed, 1))
	for _, i := range s.remember(prefix, all, v.stale) {
		if rng.Float64() < v.omit {
			continue
		}
		if err := each(i); err != nil {
			return err
		}
	}
	return nil
}

// remember notes a list and returns the one to show.
func (s *Store) remember(prefix string, now []objectstore.Info, stale bool) []objectstore.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := append(s.lists[prefix], now)
	last = slices.Clone(last[max(0, len(last)-2):])
	s.lists[prefix] = last
	if stale {
		return last[0]
	}
	return now
}

// Delete takes an object away.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, "delete", key, s.next(true), func() error { return s.inner.Delete(ctx, key) })
}

func (s *Store) String() string {
	return strings.TrimSuffix(s.inner.String(), " with faults") + " with faults"
}
