package objectstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

const (
	probePrefix = "probe/" // where Probe puts what it tries with
	probeRacers = 8        // puts at the same time
)

// Probe tries whether a store keeps its promises of conditional puts, of
// reading what was written, of listing and of deleting. It is for the start of a node: a
// store that ignores conditions takes every put, and two owners of a partition
// would overwrite each other without noticing. It leaves nothing behind.
func Probe(ctx context.Context, s Store) error {
	p := &probe{ctx: ctx, s: s, key: probePrefix + strings.ToLower(rand.Text())}
	err := p.run()
	// Also when the caller's patience is at an end.
	if cleaned := s.Delete(context.WithoutCancel(ctx), p.key); err == nil && cleaned != nil {
		err = fmt.Errorf("cannot be used: %w", cleaned)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", s, err)
	}
	return nil
}

type probe struct {
	ctx context.Context
	s   Store
	key string
}

func (p *probe) run() error {
	first, second := []byte("first "+p.key), []byte("second "+p.key)
	v1, err := p.s.PutIfAbsent(p.ctx, p.key, first)
	if err != nil {
		return fmt.Errorf("cannot be used: %w", err)
	}
	if _, err = p.s.PutIfAbsent(p.ctx, p.key, second); !errors.Is(err, ErrExists) {
		return ignores("put-if-absent (If-None-Match: *)", "an object that was there", err)
	}
	v2, err := p.s.PutIfMatch(p.ctx, p.key, second, v1)
	if err != nil {
		return fmt.Errorf("refuses a put-if-unchanged (If-Match) that it should do: %w", err)
	}
	if v1 == v2 {
		return fmt.Errorf("has the same version for two states of an object (ETag %s): it cannot tell owners apart", v1)
	}
	if _, err = p.s.PutIfMatch(p.ctx, p.key, first, v1); !errors.Is(err, ErrChanged) {
		return ignores("put-if-unchanged (If-Match)", "an object that had changed", err)
	}
	body, v, err := p.s.Get(p.ctx, p.key)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case v != v2 || !bytes.Equal(body, second):
		return errors.New("does not give back what was written last: it must be strongly consistent")
	}
	part, err := p.s.GetRange(p.ctx, p.key, 2, 3)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case !bytes.Equal(part, second[2:5]):
		return fmt.Errorf("does not give a part of an object: got %q for bytes 2 to 4 of %q", part, second)
	}
	listed, err := p.listed()
	switch {
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case !listed:
		return errors.New("does not list what was written: it must be strongly consistent")
	}
	v3, err := p.race(v2)
	if err != nil {
		return err
	}
	return p.deleted(v3)
}

// race has several puts that expect the same version at the same time: a server
// that looks first and puts then lets more than one through.
func (p *probe) race(v Version) (won Version, err error) {
	type answer struct {
		v   Version
		err error
	}
	answers := make(chan answer, probeRacers)
	for i := range probeRacers {
		go func() {
			v, err := p.s.PutIfMatch(p.ctx, p.key, fmt.Appendf(nil, "racer %d %s", i, p.key), v)
			answers <- answer{v, err}
		}()
	}
	winners := 0
	for range probeRacers {
		a := <-answers
		switch {
		case a.err == nil:
			winners++
			won = a.v
		case !errors.Is(a.err, ErrChanged):
			err = fmt.Errorf("cannot be used: %w", a.err)
		}
	}
	switch {
	case winners > 1:
		return "", fmt.Errorf("does not hold conditions against others: of %d puts-if-unchanged (If-Match) at the same time %d succeeded. Two nodes could own a partition at once", probeRacers, winners)
	case err == nil && winners == 0:
		err = errors.New("refuses a put-if-unchanged (If-Match) that it should do, of several at the same time")
	}
	return won, err
}

// deleted makes sure that deleting takes the object away, and that what is gone
// has no version any more.
func (p *probe) deleted(last Version) error {
	if err := p.s.Delete(p.ctx, p.key); err != nil {
		return fmt.Errorf("cannot be used: %w", err)
	}
	switch _, _, err := p.s.Get(p.ctx, p.key); {
	case err == nil:
		return errors.New("still has an object that was deleted: it must be strongly consistent")
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("cannot be used: %w", err)
	}
	if _, err := p.s.PutIfMatch(p.ctx, p.key, []byte("third "+p.key), last); !errors.Is(err, ErrChanged) {
		return ignores("put-if-unchanged (If-Match)", "an object that was gone", err)
	}
	return nil
}

// ignores is the refusal of a store that does not look at a condition.
func ignores(condition, what string, err error) error {
	if err != nil {
		return fmt.Errorf("answers a %s over %s with an error of another kind: %w", condition, what, err)
	}
	return fmt.Errorf("ignores conditions: a %s replaced %s. Two nodes could own a partition at once; use a store with conditional writes, or a newer version of its server", condition, what)
}

func (p *probe) listed() (listed bool, err error) {
	err = p.s.List(p.ctx, p.key, func(i Info) error {
		listed = listed || i.Key == p.key
		return nil
	})
	return listed, err
}
