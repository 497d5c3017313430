package sketch

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestLinesNeverBelowTheTruth drives lines against maps, with counters that
// saturate and sketches so small that every key meets others.
func TestLinesNeverBelowTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHasher(rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1"))
		s := NewLines(rapid.IntRange(1, 20).Draw(t, "width"), rapid.IntRange(1, maxDepth).Draw(t, "depth"))
		truth := map[uint64]*Readings{}
		counts := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(1<<30, 1<<33), rapid.Just(uint64(math.MaxUint64)))
		atLeast := func(key uint64, read *Readings) {
			true := truth[key]
			if true == nil {
				return
			}
			for l, n := range read.Narrow {
				if n < true.Narrow[l] {
					t.Fatalf("key %d reads %d in sketch %d, true %d", key, n, l, true.Narrow[l])
				}
			}
			if read.Wide < true.Wide {
				t.Fatalf("key %d reads %d, true %d", key, read.Wide, true.Wide)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				key := rapid.Uint64Range(0, 50).Draw(t, "key")
				n := Readings{Wide: counts.Draw(t, "wide")}
				n.Narrow[rapid.IntRange(0, Narrow-1).Draw(t, "one")] = counts.Draw(t, "n")
				n.Narrow[rapid.IntRange(0, Narrow-1).Draw(t, "other")] = counts.Draw(t, "m")
				sum := truth[key]
				if sum == nil {
					sum = new(Readings)
					truth[key] = sum
				}
				for l, n := range n.Narrow {
					sum.Narrow[l] = min(sum.Narrow[l], math.MaxUint64-n) + n
				}
				sum.Wide = min(sum.Wide, math.MaxUint64-n.Wide) + n.Wide
				var added, read Readings
				s.Add(number(&h, key), &n, &added)
				s.Read(number(&h, key), &read)
				if added != read {
					t.Fatalf("%+v when added, %+v when read", added, read)
				}
			},
			"clear": func(t *rapid.T) {
				l := rapid.IntRange(0, Narrow-1).Draw(t, "sketch")
				s.Clear(l)
				for _, sum := range truth {
					sum.Narrow[l] = 0
				}
				for key := range truth {
					var read Readings
					if s.Read(number(&h, key), &read); read.Narrow[l] != 0 {
						t.Fatalf("key %d reads %d in sketch %d, which is empty", key, read.Narrow[l], l)
					}
				}
			},
			"": func(t *rapid.T) {
				for key := range uint64(60) {
					var read Readings
					s.Read(number(&h, key), &read)
					atLeast(key, &read)
				}
			},
		})
	})
}

// TestLinesErrorBound counts how many keys read more than ε·N above the truth, in
// a narrow sketch and in the wide one.
func TestLinesErrorBound(t *testing.T) {
	const keys, events, width = 10_000, 100_000, 500
	for seed := range uint64(4) {
		depth := 2 + int(seed)
		h := NewHasher(seed, ^seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		zipf := rand.NewZipf(rng, 1.05, 1, keys-1)
		s := NewLines(width, depth)
		truth := make([]uint64, keys)
		for range events {
			k := zipf.Uint64()
			truth[k]++
			n := Readings{Wide: 1}
			n.Narrow[k%Narrow], n.Narrow[0] = 1, 1
			s.Add(number(&h, k), &n, new(Readings))
		}
		over := [2]int{}
		for k, n := range truth {
			var read Readings
			s.Read(number(&h, uint64(k)), &read)
			if float64(read.Narrow[0]-n) > Epsilon(width)*events {
				over[0]++
			}
			if float64(read.Wide-n) > Epsilon(WideShare*width)*events {
				over[1]++
			}
		}
		allowed := math.Exp(-float64(depth)) * keys
		for i, n := range over {
			if float64(n) > allowed+3*math.Sqrt(allowed) {
				t.Errorf("seed %d, depth %d, sketch %d: %d of %d keys are over", seed, depth, i, n, keys)
			}
		}
	}
}
