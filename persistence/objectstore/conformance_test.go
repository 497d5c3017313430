package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// kinds are the stores that are held to the contract. Each open makes an empty
// store, and further ones open it once more, as another process would.
func kinds(t *testing.T) map[string]func(t *testing.T) (open func() objectstore.Store) {
	all := map[string]func(t *testing.T) func() objectstore.Store{
		"memory": func(*testing.T) func() objectstore.Store {
			m := faultstore.NewMemory()
			return func() objectstore.Store { return m }
		},
		"dir imitated": func(t *testing.T) func() objectstore.Store {
			fs := persistencetest.New(1)
			return func() objectstore.Store { return openDir(t, fs, "/store") }
		},
		"dir": func(t *testing.T) func() objectstore.Store {
			root := t.TempDir() + "/a/b"
			return func() objectstore.Store { return openDir(t, nil, root) }
		},
		"s3 imitated": func(t *testing.T) func() objectstore.Store {
			server := newServer(t)
			return func() objectstore.Store { return server.open(t, nil) }
		},
	}
	if real := realServer(t); real != nil {
		all["s3 real"] = real
	}
	return all
}

// conforms runs a test against every kind of store.
func conforms(t *testing.T, test func(t *testing.T, open func() objectstore.Store)) {
	for name, start := range kinds(t) {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// get is an object as a string, "" if there is none.
func get(t *testing.T, s objectstore.Store, key string) (string, objectstore.Version) {
	t.Helper()
	body, v, err := s.Get(t.Context(), key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return "", ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(body), v
}

func list(t *testing.T, s objectstore.Store, prefix string) []string {
	t.Helper()
	var keys []string
	err := s.List(t.Context(), prefix, func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestObjectsComeBackAsTheyWerePut(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s, ctx := open(), t.Context()
		rng := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{0, 1, 39, 40, 41, 4096, 1<<20 + 7, 9 << 20} {
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(rng.Uint32())
			}
			key := fmt.Sprintf("parts/%d", size)
			v := must[objectstore.Version](t)(s.PutIfAbsent(ctx, key, body))
			got, version, err := open().Get(ctx, key)
			if err != nil || !bytes.Equal(got, body) || version != v || v == "" {
				t.Fatalf("%d bytes: got %d, version %q for %q, %v", size, len(got), version, v, err)
			}
			n := int64(size)
			for _, r := range [][2]int64{{0, n}, {0, n + 1}, {0, 0}, {0, 1}, {n / 2, 3}, {n / 2, n}, {max(0, n-1), 1}, {n, 0}, {n, 1}, {n + 5, 7}, {n / 3, 1 << 62}} {
				want := body[min(r[0], n):]
				want = want[:min(r[1], int64(len(want)))]
				got, err := s.GetRange(ctx, key, r[0], r[1])
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes at %d of %d: got %d, want %d, %v", r[1], r[0], size, len(got), len(want), err)
				}
			}
			if err := s.List(ctx, key, func(i objectstore.Info) error {
				if i.Key == key && i.Size != n {
					return fmt.Errorf("%d bytes listed as %d", n, i.Size)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhatIsNotThere(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s, ctx := open(), t.Context()
		_, _, err := s.Get(ctx, "no/such")
		if !errors.Is(err, objectstore.ErrNotFound) || !strings.Contains(err.Error(), "get no/such") {
			t.Error(err)
		}
		if _, err := s.GetRange(ctx, "no/such", 0, 0); !errors.Is(err, objectstore.ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.PutIfMatch(ctx, "no/such", nil, `"0123456789abcdef0123456789abcdef"`); !errors.Is(err, objectstore.ErrChanged) {
			t.Error(err)
		}
		if _, err := s.PutIfMatch(ctx, "no/such", nil, ""); !errors.Is(err, objectstore.ErrChanged) {
			t.Error(err)
		}
		if err := s.Delete(ctx, "no/such"); err != nil {
			t.Error(err)
		}
		if keys := list(t, s, ""); len(keys) != 0 {
			t.Error(keys)
		}
	})
}

func TestKeysThatAreNone(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s, ctx := open(), t.Context()
		long := strings.Repeat("k", objectstore.MaxKey)
		must[objectstore.Version](t)(s.Put(ctx, long, []byte("x")))
		for _, key := range []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "a+b", "a b", "ä", "a\x00", `a\b`, long + "k"} {
			_, err := s.Put(ctx, key, nil)
			_, err2 := s.PutIfAbsent(ctx, key, nil)
			_, err3 := s.PutIfMatch(ctx, key, nil, "v")
			_, _, err4 := s.Get(ctx, key)
			_, err5 := s.GetRange(ctx, key, 0, 1)
			for i, err := range []error{err, err2, err3, err4, err5, s.Delete(ctx, key)} {
				if err == nil || errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrChanged) {
					t.Errorf("key %q, operation %d: %v", key, i, err)
				}
			}
		}
		if _, err := s.GetRange(ctx, long, -1, 1); err == nil {
			t.Error("an offset of -1")
		}
		if _, err := s.GetRange(ctx, long, 0, -1); err == nil {
			t.Error("a length of -1")
		}
		if keys := list(t, s, ""); !slices.Equal(keys, []string{long}) {
			t.Error(keys)
		}
	})
}

func TestListsAreInOrder(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s, ctx := open(), t.Context()
		keys := []string{"a-b", "a.b/c", "a/b0", "a/b/c", "a/b-c", "a0", "A/z", "_", "b/x", "0/.hidden"}
		for _, key := range keys {
			must[objectstore.Version](t)(s.Put(ctx, key, []byte(key)))
		}
		slices.Sort(keys)
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "b/x", "b/xy", "c", "0/."} {
			want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, prefix) })
			if got := list(t, s, prefix); !slices.Equal(got, want) {
				t.Errorf("prefix %q: %q, want %q", prefix, got, want)
			}
		}
		enough := errors.New("enough")
		seen := 0
		if err := s.List(ctx, "", func(objectstore.Info) error { seen++; return enough }); err != enough || seen != 1 {
			t.Errorf("%d keys, then %v", seen, err)
		}
		for _, key := range keys {
			if body, _ := get(t, s, key); body != key {
				t.Errorf("%s holds %q", key, body)
			}
		}
	})
}

func TestLongLists(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s := open()
		n := 2_100 // more than two of S3's pages
		if strings.HasSuffix(t.Name(), "/dir") {
			n = 210 // each is synced, and there are no pages
		}
		for i := range n {
			must[objectstore.Version](t)(s.Put(t.Context(), fmt.Sprintf("p/%05d", i*7919%n), nil))
		}
		keys := list(t, s, "p/")
		if len(keys) != n || !slices.IsSorted(keys) || keys[0] != "p/00000" || keys[n-1] != fmt.Sprintf("p/%05d", n-1) {
			t.Errorf("%d keys, sorted %v", len(keys), slices.IsSorted(keys))
		}
	})
}

// TestRandomOperations compares with the plainest store there is.
func TestRandomOperations(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		for seed := range uint64(3) {
			s, oracle, ctx := open(), faultstore.NewMemory(), t.Context()
			rng := rand.New(rand.NewPCG(seed, 3))
			type versions struct{ theirs, ours objectstore.Version }
			past := map[string][]versions{}
			for step := range 150 {
				key := fmt.Sprintf("%d/%d", seed, rng.IntN(4))
				body := fmt.Appendf(nil, "%d %d %s", seed, step, strings.Repeat("x", rng.IntN(100)))
				was := versions{"none", `"d41d8cd98f00b204e9800998ecf8427e"`}
				if p := past[key]; len(p) > 0 {
					was = p[len(p)-1]
					if rng.IntN(3) == 0 {
						was = p[rng.IntN(len(p))]
					}
				}
				var want, err error
				var v versions
				put := true
				op := rng.IntN(5)
				switch op {
				case 0:
					v.theirs, want = oracle.Put(ctx, key, body)
					v.ours, err = s.Put(ctx, key, body)
				case 1:
					v.theirs, want = oracle.PutIfAbsent(ctx, key, body)
					v.ours, err = s.PutIfAbsent(ctx, key, body)
				case 2, 3:
					v.theirs, want = oracle.PutIfMatch(ctx, key, body, was.theirs)
					v.ours, err = s.PutIfMatch(ctx, key, body, was.ours)
				default:
					put = false
					want, err = oracle.Delete(ctx, key), s.Delete(ctx, key)
				}
				if class(err) != class(want) {
					t.Fatalf("seed %d, step %d, operation %d: %v, want %v", seed, step, op, err, want)
				}
				if put && err == nil {
					past[key] = append(past[key], v)
				}
				theirs, _ := get(t, oracle, key)
				if ours, now := get(t, s, key); ours != theirs || put && err == nil && now != v.ours {
					t.Fatalf("seed %d, step %d, operation %d: %q, want %q; version %s, want %s", seed, step, op, ours, theirs, now, v.ours)
				}
			}
			prefix := fmt.Sprintf("%d/", seed)
			if got, want := list(t, s, prefix), list(t, oracle, prefix); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %q, want %q", seed, got, want)
			}
		}
	})
}

// class is what a caller branches on.
func class(err error) string {
	for _, known := range []error{objectstore.ErrChanged, objectstore.ErrExists, objectstore.ErrNotFound} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "another error"
	}
	return ""
}

func TestACancelledCaller(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s := open()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err1 := s.Put(ctx, "k", nil)
		_, err2 := s.PutIfAbsent(ctx, "k", nil)
		_, err3 := s.PutIfMatch(ctx, "k", nil, "v")
		_, _, err4 := s.Get(ctx, "k")
		_, err5 := s.GetRange(ctx, "k", 0, 1)
		for i, err := range []error{err1, err2, err3, err4, err5, s.Delete(ctx, "k")} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("operation %d: %v", i, err)
			}
		}
	})
}

func TestAProbeLeavesNothingBehind(t *testing.T) {
	conforms(t, func(t *testing.T, open func() objectstore.Store) {
		s := open()
		for range 2 {
			if err := objectstore.Probe(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		if keys := list(t, s, ""); len(keys) != 0 {
			t.Error(keys)
		}
	})
}
