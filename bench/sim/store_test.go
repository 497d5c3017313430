//go:build e2e

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

// store is where a server keeps its snapshots, in the hands of somebody who
// means no good. Everything but look wants the node stopped.
type store struct {
	t       *testing.T
	objects objectstore.Store
	older   []map[string][]byte // copies, oldest first
}

// storeOf is a server's store in its folder.
func storeOf(s *server) *store {
	s.t.Helper()
	return newStore(s.t, "dir:"+filepath.Join(s.data, "store"), objectstore.DefaultConfig())
}

func newStore(t *testing.T, where string, cfg objectstore.Config) *store {
	t.Helper()
	o, err := objectstore.Open(t.Context(), where, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &store{t: t, objects: o}
}

// all is every object.
func (k *store) all(ctx context.Context) map[string][]byte {
	k.t.Helper()
	var keys []string
	err := k.objects.List(ctx, "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	bodies := map[string][]byte{}
	for _, key := range keys {
		body, _, err := k.objects.Get(ctx, key)
		if err != nil {
			k.t.Fatal(err)
		}
		bodies[key] = body
	}
	return bodies
}

// keep takes a copy of everything.
func (k *store) keep(ctx context.Context) { k.older = append(k.older, k.all(ctx)) }

// empty deletes everything.
func (k *store) empty(ctx context.Context) {
	k.t.Helper()
	for key := range k.all(ctx) {
		if err := k.objects.Delete(ctx, key); err != nil {
			k.t.Fatal(err)
		}
	}
}

// back puts an older copy in the place of what there is, as if nothing had
// happened since.
func (k *store) back(ctx context.Context, older map[string][]byte) {
	k.t.Helper()
	k.empty(ctx)
	for key, body := range older {
		if _, err := k.objects.Put(ctx, key, body); err != nil {
			k.t.Fatal(err)
		}
	}
}

// oldest makes each partition's oldest snapshot the only one, and returns how
// many were newer.
func (k *store) oldest(ctx context.Context) (newer int) {
	k.t.Helper()
	listings, err := snapshot.List(ctx, k.objects)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, l := range listings {
		if len(l.Roots) == 0 {
			continue // taken over, and nothing saved yet
		}
		last := l.Roots[len(l.Roots)-1]
		newer += len(l.Roots) - 1
		if _, err := snapshot.Restore(ctx, k.objects, snapshot.Choice{Log: l.Log, Partition: l.Partition, Root: last.Key, Owner: k.t.Name()}); err != nil {
			k.t.Fatal(err)
		}
	}
	return newer
}

// sound wants every kept snapshot to be whole, and returns how many there are.
func (k *store) sound(ctx context.Context) int {
	k.t.Helper()
	r, err := snapshot.Verify(ctx, k.objects, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	if !r.Sound() {
		k.t.Errorf("damaged snapshots: %+v", r)
	}
	return len(r.Roots)
}

// spoil does one of the things that happen to stores, and says what.
func (k *store) spoil(ctx context.Context, rng *rand.Rand) string {
	switch rng.IntN(5) {
	case 0:
		k.empty(ctx)
		return "no snapshots"
	case 1:
		return fmt.Sprintf("the oldest snapshots alone, of %d newer ones", k.oldest(ctx))
	case 2, 3:
		if n := len(k.older); n > 0 {
			i := rng.IntN(n)
			k.back(ctx, k.older[i])
			return fmt.Sprintf("an older copy, %d of %d", i+1, n)
		}
	}
	return "the store as it is"
}

// loseRuns removes the local copies of the runs of ids, which snapshots have
// too.
func (s *server) loseRuns() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.data, "ids")); err != nil {
		s.t.Fatal(err)
	}
}

// loaded tells whether a node that has ended had begun with snapshots.
func loaded(log string) bool { return strings.Contains(log, "snapshots loaded") }
