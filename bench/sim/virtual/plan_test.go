package virtual

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// plan is what a seed draws before anything happens.
type plan struct {
	seed    uint64
	orderly bool // one thing at a time, faults between requests only

	partitions                int
	clock                     messages.Clock
	dedupWindow, maxAhead     time.Duration
	maxCategories, maxRegions int

	engineMemory int64 // 0: more than is needed
	dedupMemory  int64 // 0: more than is needed
	policy       actors.SnapshotPolicy
	retention    time.Duration
	segmentBytes int64
	groupBytes   int64
	tailBytes    int64
	objectBytes  int
	keepRoots    int
	syncMost     time.Duration // the longest that a sync takes

	store  faultstore.Faults // of the store of snapshots, while it is unwell
	topics int
	flood  bool // of ids, so that they go into runs
	pace   time.Duration
}

// one draws from a list.
func one[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func newPlan(seed uint64) *plan {
	rng := rand.New(rand.NewPCG(seed, 0x706c616e))
	p := &plan{
		seed:          seed,
		orderly:       rng.IntN(4) == 0,
		partitions:    one(rng, 1, 1, 2, 3, 5),
		clock:         one(rng, messages.ClockWall, messages.ClockWall, messages.ClockEvent),
		dedupWindow:   one(rng, time.Minute, 10*time.Minute, 10*time.Minute, 2*time.Hour),
		maxAhead:      one(rng, time.Minute, 5*time.Minute, time.Hour),
		maxCategories: one(rng, 3, 64),
		maxRegions:    one(rng, 4, 512),
		engineMemory:  one[int64](rng, 0, 0, 0, 1<<20),
		dedupMemory:   one[int64](rng, 0, 0, 0, 256<<10),
		policy: actors.SnapshotPolicy{
			Lag:   one[uint64](rng, 50, 500, 1<<40),
			Every: one(rng, time.Minute, 10*time.Minute, 3*time.Hour),
		},
		retention:    one(rng, 0, 10*time.Minute, time.Hour, 48*time.Hour),
		segmentBytes: one[int64](rng, 4<<10, 16<<10, 128<<10),
		groupBytes:   one[int64](rng, 4<<10, 1<<20),
		tailBytes:    one[int64](rng, 0, 8<<10, 1<<20),
		objectBytes:  one(rng, 4<<10, 64<<10, 4<<20),
		keepRoots:    one(rng, 1, 2, 3),
		topics:       one(rng, 5, 60, 1500),
		flood:        rng.IntN(8) == 0,
		pace:         one(rng, 2*time.Minute, 10*time.Minute, 30*time.Minute),
	}
	if rng.IntN(3) > 0 {
		p.syncMost = one(rng, time.Millisecond, 20*time.Millisecond, time.Second)
	}
	share := func() float64 { return one(rng, 0, 0, 0.05, 0.3) }
	p.store = faultstore.Faults{
		Slow: one(rng, 0, time.Second, 10*time.Second),
		Fail: share(), Lose: share(), Refuse: share(), Omit: share(), Stale: share(),
	}
	return p
}

func (p *plan) String() string {
	return fmt.Sprintf("seed %d: orderly=%v partitions=%d clock=%v dedup=%v ahead=%v categories=%d regions=%d engine=%d dedupmem=%d policy=%v/%v retention=%v segment=%d group=%d tail=%d object=%d roots=%d sync<%v store=%+v topics=%d flood=%v pace=%v",
		p.seed, p.orderly, p.partitions, p.clock, p.dedupWindow, p.maxAhead, p.maxCategories, p.maxRegions, p.engineMemory, p.dedupMemory,
		p.policy.Lag, p.policy.Every, p.retention, p.segmentBytes, p.groupBytes, p.tailBytes, p.objectBytes, p.keepRoots, p.syncMost, p.store, p.topics, p.flood, p.pace)
}
