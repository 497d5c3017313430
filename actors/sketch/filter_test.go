package sketch

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestFilterRate(t *testing.T) {
	const keys, asked = 20_000, 200_000
	h := NewHasher(1, 2)
	f := NewFilter(2*keys*BitsPerKey/8, 100)
	for i := range uint64(keys) {
		f.Add(number(&h, i), 0)
	}
	rate := func() float64 {
		n := 0
		for i := range uint64(asked) {
			if f.Has(number(&h, i+keys)) {
				n++
			}
		}
		return float64(n) / asked
	}
	want := math.Pow(1-math.Exp(-float64(probes)/BitsPerKey), probes) // 0.0082
	if r := rate(); r > want*1.15 || r < want*0.85 {
		t.Errorf("one full generation: %.4f of strangers are seen, want %.4f", r, want)
	}
	for i := range uint64(keys) {
		f.Add(number(&h, i+1<<40), 100)
	}
	if r := rate(); r > 2*want*1.15 || r < 2*want*0.8 {
		t.Errorf("two full generations: %.4f of strangers are seen, want %.4f", r, 2*want)
	}
}

// TestFilterSpan: a key is seen for at least minSpan after it was last added;
// how long at most, if others go on, is twice that.
func TestFilterSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Int64Range(1, 50).Draw(t, "span")
		h := NewHasher(rapid.Uint64().Draw(t, "k0"), 0)
		f := NewFilter(4096, span)
		last := map[uint64]int64{}
		now := rapid.Int64Range(-100, 100).Draw(t, "start")
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 120)).Draw(t, "pass")
			k := rapid.Uint64Range(0, 20).Draw(t, "key")
			f.Add(number(&h, k), now)
			last[k] = now
			for k, at := range last {
				if seen := f.Has(number(&h, k)); !seen && now-at <= span {
					t.Fatalf("key %d of %d is forgotten at %d, span %d", k, at, now, span)
				}
			}
		}
	})
	f, h := NewFilter(4096, 10), NewHasher(1, 2)
	first := number(&h, 1)
	f.Add(first, 0)
	f.Add(number(&h, 2), 10)
	if !f.Has(first) {
		t.Error("forgotten after one rotation")
	}
	f.Add(number(&h, 3), 20)
	if f.Has(first) {
		t.Error("seen after two rotations")
	}
	f.Add(number(&h, 4), 1000)
	if f.Has(number(&h, 3)) {
		t.Error("seen after a long silence")
	}
}
