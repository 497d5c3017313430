package snapshot

import (
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// TestPowerLossesInAFolder: snapshots in a folder on a disk that loses what was
// not synced, through several power losses and kills at any of its operations:
// what was acknowledged is there afterwards, or what was begun after it.
func TestPowerLossesInAFolder(t *testing.T) {
	const seeds = 60
	losses, loaded := 0, 0
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 4))
		disk := persistencetest.New(seed)
		h := &history{tried: map[messages.Offset]bool{}}
		for life := range 5 {
			disk.Inject(persistencetest.Fault{At: disk.Ops() + 1 + rng.IntN(250), PowerOff: true})
			if objects, err := objectstore.Dir(disk, "store"); err == nil {
				live(t, newStore(t, objects, func(c *Config) { c.ObjectBytes = 8 << 10 }), h, messages.Offset(10*life))
			}
			if rng.IntN(3) == 0 {
				disk = disk.Kill()
			} else {
				disk = disk.PowerLoss(seed*100 + uint64(life))
			}
			losses++
			objects, err := objectstore.Dir(disk, "store")
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			p, err := newStore(t, objects).Take(ctx, 0)
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			o, found, w, err := load(p)
			if w != nil || err != nil || o < h.acked || found && !h.tried[o] || !found && h.acked > 0 {
				t.Fatalf("seed %d, life %d: loaded %d (%v, %v, %v), acknowledged %d", seed, life, o, found, w, err, h.acked)
			}
			if found {
				loaded++
			}
			sound(t, objects, "after a power loss")
			if err := objects.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if losses != 5*seeds || loaded < 2*seeds {
		t.Errorf("%d losses, %d loaded", losses, loaded)
	}
}

// live is an owner until the power goes.
func live(t *testing.T, s *Store, h *history, from messages.Offset) {
	p, err := s.Take(ctx, 0)
	if err != nil {
		return
	}
	if _, _, w, _ := load(p); w != nil {
		t.Fatal(w.what)
	}
	for o := from + 1; o < from+6; o++ {
		h.tried[o] = true
		if save(p, o) != nil {
			return
		}
		h.acked = o
		if _, err := p.Sweep(ctx); err != nil {
			return
		}
	}
}
