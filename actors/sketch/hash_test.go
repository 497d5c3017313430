package sketch

import (
	"math"
	"testing"
)

// families are ways in which keys come about; each must look random.
func families() map[string]func(i uint64) Key {
	h := NewHasher(7, 11)
	topic := h.Topic([]byte("one topic"))
	return map[string]func(i uint64) Key{
		"topics":           func(i uint64) Key { return number(&h, i) },
		"regions of one":   func(i uint64) Key { return h.In(topic, 1, 0, uint32(i)) },
		"categories":       func(i uint64) Key { return h.In(topic, 2, uint32(i), 9) },
		"kinds and topics": func(i uint64) Key { return h.In(number(&h, i/4), uint8(i%4), 0, 0) },
	}
}

// TestRowsMeetIndependently: keys meet in a row as often as in any other, and
// in two or three rows together as often as chance has it. With double hashing
// the second is 30 times as often.
func TestRowsMeetIndependently(t *testing.T) {
	const keys, width, depth = 3000, 64, 7
	for name, key := range families() {
		columns := make([][depth]uint8, keys)
		for i := range columns {
			for r := range depth {
				columns[i][r] = uint8(reduce(key(uint64(i)).row(r), width))
			}
		}
		var one [depth]int
		var two [depth][depth]int
		three, pairs := 0, 0
		for i := range columns {
			for j := range i {
				pairs++
				var met [depth]bool
				n := 0
				for r := range depth {
					if columns[i][r] == columns[j][r] {
						met[r] = true
						one[r]++
						n++
					}
				}
				for r := range depth {
					for s := range r {
						if n > 1 && met[r] && met[s] {
							two[r][s]++
						}
					}
				}
				three += n * (n - 1) * (n - 2) / 6
			}
		}
		expect := func(what string, got int, of float64) {
			if d := (float64(got) - of) / math.Sqrt(of); math.Abs(d) > 5 {
				t.Errorf("%s: %s: %d meetings, want %.0f (%.1f σ)", name, what, got, of, d)
			}
		}
		for r := range depth {
			expect("one row", one[r], float64(pairs)/width)
			for s := range r {
				expect("two rows", two[r][s], float64(pairs)/(width*width))
			}
		}
		expect("three rows", three, float64(pairs)*35/(width*width*width))
	}
}

// TestEveryBitCounts: each bit of a key changes about half of the bits of each
// row, each word of In half of the key's.
func TestEveryBitCounts(t *testing.T) {
	const keys = 200
	h := NewHasher(3, 5)
	var flips [128 + 72][2]float64 // changed and all bits
	note := func(bit int, changed uint64) {
		for ; changed != 0; changed &= changed - 1 {
			flips[bit][0]++
		}
		flips[bit][1] += 64
	}
	for i := range uint64(keys) {
		k := number(&h, i)
		for bit := range 128 {
			o := k
			if bit < 64 {
				o.A ^= 1 << bit
			} else {
				o.B ^= 1 << (bit - 64)
			}
			for r := range maxDepth {
				note(bit, k.row(r)^o.row(r))
			}
		}
		for bit := range 72 {
			kind, category, region := uint8(0), uint32(0), uint32(0)
			switch {
			case bit < 8:
				kind ^= 1 << bit
			case bit < 40:
				category ^= 1 << (bit - 8)
			default:
				region ^= 1 << (bit - 40)
			}
			a, b := h.In(k, 0, 0, 0), h.In(k, kind, category, region)
			note(128+bit, a.A^b.A)
			note(128+bit, a.B^b.B)
		}
	}
	for bit, f := range flips {
		if share := f[0] / f[1]; math.Abs(share-0.5) > 0.02 {
			t.Errorf("bit %d changes %.3f of the bits", bit, share)
		}
	}
}

// TestCraftedKeysNeedTheSecret: topics chosen to meet a stranger under a
// guessed secret inflate it there, and do nothing under the true one.
func TestCraftedKeysNeedTheSecret(t *testing.T) {
	const width, depth, weight = 1000, 5, 1_000_000
	guessed, secret := NewHasher(0, 0), NewHasher(0x5eed, 0xfeed)
	const stranger = 1 << 40
	var crafted []uint64
	for r := range depth {
		at := func(i uint64) int { return reduce(number(&guessed, i).row(r), width) }
		i := uint64(0)
		for at(i) != at(stranger) {
			i++
		}
		crafted = append(crafted, i)
	}
	read := func(h *Hasher) uint64 {
		c := NewCountMin(width, depth)
		s := c.Acquire()
		for _, i := range crafted {
			c.Add(s, number(h, i), weight)
		}
		n, _ := c.Estimate(s, number(h, stranger))
		return n
	}
	if n := read(&guessed); n != weight {
		t.Errorf("the crafted topics do not work: %d", n)
	}
	if n := read(&secret); n != 0 {
		t.Errorf("without the secret they inflate a stranger to %d", n)
	}
}

// TestKeysOfOneTopic: no two of a topic's cells share a half, and other
// secrets give other keys.
func TestKeysOfOneTopic(t *testing.T) {
	h, other := NewHasher(1, 2), NewHasher(1, 3)
	topic := h.Topic([]byte("t"))
	halves := map[uint64]bool{topic.A: true, topic.B: true}
	n := 2
	for kind := range uint8(3) {
		for category := range uint32(20) {
			for region := range uint32(200) {
				k := h.In(topic, kind, category, region)
				halves[k.A], halves[k.B] = true, true
				n += 2
				if k == other.In(topic, kind, category, region) {
					t.Fatal("the secret does not matter")
				}
			}
		}
	}
	if len(halves) != n {
		t.Errorf("%d of %d halves are distinct", len(halves), n)
	}
}
