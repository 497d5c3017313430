package sketch

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// number is the key of a number.
func number(h *Hasher, i uint64) Key {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], i)
	return h.Topic(b[:])
}

// TestNeverBelowTheTruth drives all operations against maps, with counters
// that saturate and sketches so small that every key meets others.
func TestNeverBelowTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHasher(rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1"))
		c := NewCountMin(rapid.IntRange(1, 20).Draw(t, "width"), rapid.IntRange(1, maxDepth).Draw(t, "depth"))
		truth := map[int]map[uint64]uint64{} // by slot
		slot := func() int {
			slots := make([]int, 0, len(truth))
			for s := range 100 {
				if truth[s] != nil {
					slots = append(slots, s)
				}
			}
			return rapid.SampledFrom(slots).Draw(t, "slot")
		}
		acquire := func(t *rapid.T) {
			if len(truth) == 40 {
				return // nothing to do it with
			}
			s := c.Acquire()
			if truth[s] != nil || s >= 40+lanes {
				t.Fatalf("slot %d was given with %d in use", s, len(truth))
			}
			truth[s] = map[uint64]uint64{}
		}
		acquire(t)
		needs := func(n int, f func()) func(*rapid.T) {
			return func(t *rapid.T) {
				if len(truth) < n {
					return // nothing to do it with
				}
				f()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": acquire,
			"add": needs(1, func() {
				s, k := slot(), rapid.Uint64Range(0, 50).Draw(t, "key")
				n := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(1<<30, 1<<33), rapid.Just(uint64(math.MaxUint64))).Draw(t, "n")
				c.Add(s, number(&h, k), n)
				truth[s][k] = min(truth[s][k], math.MaxUint64-n) + n
			}),
			"merge": needs(2, func() {
				dst, src := slot(), slot()
				if dst == src {
					return
				}
				c.Merge(dst, src)
				for k, n := range truth[src] {
					truth[dst][k] = min(truth[dst][k], math.MaxUint64-n) + n
				}
			}),
			"release": needs(2, func() {
				s := slot()
				c.Release(s)
				delete(truth, s)
			}),
			"": func(t *rapid.T) {
				if len(truth) == 0 {
					return
				}
				k := rapid.Uint64Range(0, 60).Draw(t, "asked")
				var slots []int
				var sum, held uint64
				var anySaturated bool
				for s := range 100 {
					if truth[s] == nil {
						continue
					}
					n, saturated := c.Estimate(s, number(&h, k))
					if !saturated && n < truth[s][k] {
						t.Fatalf("slot %d, key %d: %d, true %d", s, k, n, truth[s][k])
					}
					if saturated != (n == math.MaxUint32) {
						t.Fatalf("%d, saturated %v", n, saturated)
					}
					if len(truth[s]) == 0 && n != 0 {
						t.Fatalf("slot %d is empty, key %d reads %d", s, k, n)
					}
					slots, sum, held = append(slots, s), sum+n, held+truth[s][k]
					anySaturated = anySaturated || saturated
				}
				if n, saturated := c.Sum(slots, number(&h, k)); n != sum || saturated != anySaturated {
					t.Fatalf("sum %d, %v; of the slots %d, %v; true %d", n, saturated, sum, anySaturated, held)
				}
			},
		})
	})
}

// TestErrorBound counts, for Zipf streams into slices that are merged and
// summed, how many keys read more than ε·N above the truth.
func TestErrorBound(t *testing.T) {
	const keys, events, slices = 10_000, 100_000, 8
	for _, c := range []struct {
		epsilon, delta, zipf float64
	}{{0.001, 0.001, 1.07}, {0.01, 0.05, 1.07}, {0.01, 0.3, 1.01}, {0.02, 0.1, 2}} {
		depth := Depth(c.delta)
		width := Width(math.MaxInt64, depth, slices, c.epsilon)
		if e := Epsilon(width); e > c.epsilon || math.Exp(-float64(depth)) > c.delta {
			t.Errorf("ε %g, δ %g: width %d, depth %d", c.epsilon, c.delta, width, depth)
		}
		for seed := range uint64(2) {
			h := NewHasher(seed, ^seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			zipf := rand.NewZipf(rng, c.zipf, 1, keys-1)
			sketches := NewCountMin(width, depth)
			var slots []int
			for range slices {
				slots = append(slots, sketches.Acquire())
			}
			truth := make([]uint64, keys)
			for range events {
				k := zipf.Uint64()
				truth[k]++
				sketches.Add(slots[rng.IntN(slices)], number(&h, k), 1)
			}
			check := func(what string) {
				over := 0
				for k, n := range truth {
					read, saturated := sketches.Sum(slots, number(&h, uint64(k)))
					if read < n || saturated {
						t.Fatalf("seed %d, %s: key %d reads %d, %v, true %d", seed, what, k, read, saturated, n)
					}
					if float64(read-n) > c.epsilon*events {
						over++
					}
				}
				if allowed := c.delta * keys; float64(over) > allowed+3*math.Sqrt(allowed) {
					t.Errorf("seed %d, %s, ε %g, δ %g, Zipf %g: %d of %d keys are over", seed, what, c.epsilon, c.delta, c.zipf, over, keys)
				}
			}
			check("summed")
			for _, s := range slots[1:] {
				sketches.Merge(slots[0], s)
				sketches.Release(s)
			}
			slots = slots[:1]
			check("merged")
		}
	}
}

func TestMemoryGrowsWithSlots(t *testing.T) {
	c := NewCountMin(100, 7)
	if c.Bytes() != 0 {
		t.Errorf("%d bytes without a slot", c.Bytes())
	}
	const group = 100 * 7 * lanes * counterBytes
	var slots []int
	for i := range 3 * lanes {
		slots = append(slots, c.Acquire())
		if want := int64(i/lanes+1) * group; c.Bytes() != want {
			t.Fatalf("%d slots: %d bytes, want %d", i+1, c.Bytes(), want)
		}
	}
	for _, s := range slots[lanes : 2*lanes] {
		c.Release(s)
	}
	if c.Bytes() != 2*group {
		t.Errorf("a group of three was released: %d bytes", c.Bytes())
	}
	c.Release(slots[0])
	if s := c.Acquire(); s != slots[0] {
		t.Errorf("slot %d, want the lowest free one", s)
	}
	if fits := Width(1000*1000, 7, 385, 1e-9); 7*400*4*fits > 1000*1000 {
		t.Errorf("width %d does not fit", fits)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	h := NewHasher(1, 2)
	c, f := NewCountMin(100, 7), NewFilter(1000, 10)
	slots := []int{c.Acquire(), c.Acquire()}
	name := []byte("worldcup2026")
	if n := testing.AllocsPerRun(100, func() {
		k := h.Topic(name)
		k = h.In(k, 3, 4, 5)
		c.Add(slots[0], k, 1)
		c.Estimate(slots[0], k)
		c.Sum(slots, k)
		c.Merge(slots[1], slots[0])
		f.Add(k, 1)
		f.Has(k)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
