package faultstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func list(t *testing.T, s objectstore.Store) string {
	t.Helper()
	var keys []string
	if err := s.List(t.Context(), "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(keys, " ")
}

func TestSharesOfOperations(t *testing.T) {
	for _, c := range []struct {
		name          string
		faults        faultstore.Faults
		done, refused bool // what a fault means
	}{
		{"fail", faultstore.Faults{Fail: 0.5}, false, false},
		{"lose", faultstore.Faults{Lose: 0.5}, true, false},
		{"refuse", faultstore.Faults{Refuse: 0.5}, false, true},
	} {
		m := faultstore.NewMemory()
		s := faultstore.New(m, 1, c.faults)
		hit := 0
		for i := range 200 {
			key := fmt.Sprint(i)
			v, err := s.PutIfAbsent(t.Context(), key, []byte("x"))
			_, _, missing := m.Get(t.Context(), key)
			switch {
			case err == nil && (missing != nil || v == ""):
				t.Errorf("%s: %s is missing", c.name, key)
			case err != nil:
				hit++
				if (missing == nil) != c.done || errors.Is(err, objectstore.ErrExists) != c.refused || errors.Is(err, faultstore.ErrInjected) == c.refused || v != "" {
					t.Errorf("%s: %s, version %q: %v; there: %v", c.name, key, v, err, missing)
				}
			}
		}
		if hit < 70 || hit > 130 {
			t.Errorf("%s: %d of 200", c.name, hit)
		}
	}
}

func TestTheNthOperation(t *testing.T) {
	m, mine := faultstore.NewMemory(), errors.New("mine")
	s, ctx := faultstore.New(m, 1, faultstore.Faults{}), t.Context()
	s.Inject(faultstore.Fault{At: 2, Err: mine, Done: true})
	for i := range 3 {
		_, err := s.Put(ctx, fmt.Sprint(i), nil)
		if (i == 1) != errors.Is(err, mine) {
			t.Errorf("%d: %v", i, err)
		}
	}
	s.Inject(faultstore.Fault{At: 5, Sticky: true})
	for i := 3; i < 6; i++ {
		_, err := s.Put(ctx, fmt.Sprint(i), nil)
		if (i > 3) != errors.Is(err, faultstore.ErrInjected) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := list(t, m); got != "0 1 2 3" || s.Ops() != 6 {
		t.Errorf("%s after %d", got, s.Ops())
	}
}

func TestListsThatLie(t *testing.T) {
	m, ctx := faultstore.NewMemory(), t.Context()
	s := faultstore.New(m, 1, faultstore.Faults{Stale: 1})
	for i := range 40 {
		if _, err := m.Put(ctx, fmt.Sprintf("%02d", i), nil); err != nil {
			t.Fatal(err)
		}
		if got, want := len(strings.Fields(list(t, s))), max(1, i); got != want {
			t.Errorf("%d objects listed, want %d", got, want)
		}
	}
	s.Set(faultstore.Faults{Omit: 0.5})
	if n := len(strings.Fields(list(t, s))); n < 8 || n > 32 {
		t.Errorf("%d of 40", n)
	}
	s.Set(faultstore.Faults{})
	if list(t, s) != list(t, m) {
		t.Error(list(t, s))
	}
}

func TestSlowness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := faultstore.New(faultstore.NewMemory(), 1, faultstore.Faults{Slow: time.Second})
		start := time.Now()
		for range 20 {
			if err := s.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("20 operations took %v", took)
		}
	})
}

func TestASeedAlwaysHitsTheSame(t *testing.T) {
	draw := func() (all string) {
		s := faultstore.New(faultstore.NewMemory(), 7, faultstore.Faults{Fail: 0.2, Lose: 0.2, Refuse: 0.2})
		for range 100 {
			_, err := s.PutIfAbsent(t.Context(), "k", nil)
			_, _, err2 := s.Get(t.Context(), "k")
			all += fmt.Sprintln(err, err2)
		}
		return all
	}
	if first, second := draw(), draw(); first != second {
		t.Error("one seed, two stories")
	}
}

func TestDamage(t *testing.T) {
	m, ctx := faultstore.NewMemory(), t.Context()
	v, err := m.Put(ctx, "k", []byte("abc"))
	if err != nil || !m.Damage("k", func(b []byte) []byte { b[1] = 'x'; return b }) || m.Damage("none", nil) {
		t.Fatal(err)
	}
	if body, now, err := m.Get(ctx, "k"); string(body) != "axc" || now != v || err != nil {
		t.Errorf("%q %v", body, err)
	}
	m.Damage("k", func([]byte) []byte { return nil })
	if keys := m.Keys(); len(keys) > 0 {
		t.Error(keys)
	}
}
