package objectstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// liar is a store that breaks one promise.
type liar struct {
	*faultstore.Memory
	ignoreAbsent, ignoreMatch, refuseMatch, oneVersion, stale, blind, whole, undead, vague, racy bool
	old                                                                                          []byte
}

func (l *liar) version(v objectstore.Version, err error) (objectstore.Version, error) {
	if l.oneVersion && err == nil {
		v = "same"
	}
	return v, err
}

func (l *liar) PutIfAbsent(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	if l.ignoreAbsent {
		return l.Put(ctx, key, body)
	}
	v, err := l.version(l.Memory.PutIfAbsent(ctx, key, body))
	if err == nil {
		l.old = body
	}
	if l.vague && err != nil {
		err = errors.New("400 Bad Request")
	}
	return v, err
}

func (l *liar) PutIfMatch(ctx context.Context, key string, body []byte, v objectstore.Version) (objectstore.Version, error) {
	switch {
	case l.ignoreMatch:
		return l.Put(ctx, key, body)
	case l.refuseMatch:
		return "", objectstore.ErrChanged
	case l.racy: // looks, and puts a moment later
		if _, now, err := l.Get(ctx, key); err != nil || now != v {
			return "", objectstore.ErrChanged
		}
		time.Sleep(time.Millisecond)
		return l.Put(ctx, key, body)
	case l.oneVersion:
		return l.version(l.Put(ctx, key, body))
	}
	return l.Memory.PutIfMatch(ctx, key, body, v)
}

func (l *liar) Get(ctx context.Context, key string) ([]byte, objectstore.Version, error) {
	body, v, err := l.Memory.Get(ctx, key)
	if l.stale && err == nil || l.undead && err != nil {
		return l.old, v, nil
	}
	return body, v, err
}

func (l *liar) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	if l.whole {
		body, _, err := l.Memory.Get(ctx, key)
		return body, err
	}
	return l.Memory.GetRange(ctx, key, at, n)
}

func (l *liar) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	if l.blind {
		return nil
	}
	return l.Memory.List(ctx, prefix, each)
}

func TestStoresThatCannotBeUsedAreRefused(t *testing.T) {
	for want, l := range map[string]*liar{
		"ignores conditions: a put-if-absent (If-None-Match: *) replaced": {ignoreAbsent: true},
		"ignores conditions: a put-if-unchanged (If-Match) replaced":      {ignoreMatch: true},
		"refuses a put-if-unchanged (If-Match) that it should do":         {refuseMatch: true},
		"the same version for two states":                                 {oneVersion: true},
		"does not give back what was written last":                        {stale: true},
		"does not list what was written":                                  {blind: true},
		"does not give a part of an object":                               {whole: true},
		"still has an object that was deleted":                            {undead: true},
		"an error of another kind: 400 Bad Request":                       {vague: true},
		"of 8 puts-if-unchanged (If-Match) at the same time 8 succeeded":  {racy: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l.Memory = faultstore.NewMemory()
			err := objectstore.Probe(t.Context(), l)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "store memory:") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s", err, want)
			}
			if keys := l.Keys(); len(keys) > 0 {
				t.Errorf("%s: left %q", want, keys)
			}
		})
	}
}

// TestAProbeThatFailsInTheMiddle says so, and leaves nothing behind where it
// can still delete.
func TestAProbeThatFailsInTheMiddle(t *testing.T) {
	for n := 1; ; n++ {
		m := faultstore.NewMemory()
		s := faultstore.New(m, 1, faultstore.Faults{})
		s.Inject(faultstore.Fault{At: n, Done: n%2 == 0})
		err := objectstore.Probe(t.Context(), s)
		if s.Ops() < n {
			if n < 10 {
				t.Errorf("only %d operations", n-1)
			}
			break
		}
		if !errors.Is(err, faultstore.ErrInjected) {
			t.Errorf("operation %d: %v", n, err)
		}
		if keys := m.Keys(); len(keys) > 0 {
			t.Errorf("operation %d: left %q", n, keys)
		}
	}
}
