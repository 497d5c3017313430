package sketch

// Filter is a Bloom filter (Bloom 1970) of keys that ever lost their row, in
// two generations that rotate by log time: the newer one takes keys, both are
// asked, and once the newer is minSpan old the older one is emptied and takes
// over. So a key is seen for at least minSpan after it was last added, and
// forgotten within twice that as long as others are added.
//
// With BitsPerKey bits for each key of a generation a key that was not added
// is seen with a probability of (1 − e^(−7/10))^7 = 0.8 % per generation. More
// keys than planned raise that; no key is ever missed.
//
// All bits of a key follow from its two halves, A + i·B: for a Bloom filter,
// unlike for a count-min, that costs nothing in the limit (Kirsch &
// Mitzenmacher 2006).
type Filter struct {
	newer, older []uint64 // equally long
	minSpan      int64
	start        int64 // log time from which on newer takes keys
	begun        bool  // start has been set
	// A frozen copy reads the generation too.
	newerShared, olderShared bool
}

// BitsPerKey is what a generation should have for each key that it takes.
const BitsPerKey = 10

// probes = BitsPerKey · ln 2, where the probability above is least.
const probes = 7

// NewFilter makes an empty filter of so many bytes, both generations together.
func NewFilter(bytes int64, minSpan int64) *Filter {
	words := max(bytes/16, 1)
	return &Filter{newer: make([]uint64, words), older: make([]uint64, words), minSpan: minSpan}
}

// Add enters a key at log time now, which never goes backwards, and tells what
// Has would have told before.
func (f *Filter) Add(k Key, now int64) (had bool) {
	f.rotate(now)
	f.own()
	h, had := k.A, true
	for range probes {
		h += k.B
		bit := reduce(h, 64*len(f.newer))
		word, mask := &f.newer[bit/64], uint64(1)<<(bit%64)
		had = had && *word&mask != 0
		*word |= mask
	}
	return had || has(f.older, k)
}

func (f *Filter) rotate(now int64) {
	if !f.begun {
		f.start, f.begun = now, true
	}
	age := now - f.start
	if age < f.minSpan {
		return
	}
	if age >= 2*f.minSpan {
		f.empty() // its last key came before start + minSpan
	}
	f.newer, f.older = f.older, f.newer
	f.newerShared, f.olderShared = f.olderShared, f.newerShared
	f.empty()
	f.start = now
}

// Has tells whether a key may have been added; false is certain, for keys not
// yet forgotten.
func (f *Filter) Has(k Key) bool { return has(f.newer, k) || has(f.older, k) }

func has(words []uint64, k Key) bool {
	h := k.A
	for range probes {
		h += k.B
		bit := reduce(h, 64*len(words))
		if words[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

// Bytes is the memory of both generations.
func (f *Filter) Bytes() int64 { return int64(len(f.newer)+len(f.older)) * 8 }
