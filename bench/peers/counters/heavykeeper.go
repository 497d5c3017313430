package counters

import (
	"math"
	"math/rand/v2"

	"github.com/keilerkonzept/topk"
)

// heavyKeeper is HeavyKeeper (Gong et al., USENIX ATC 2018), the algorithm
// behind Redis' TOPK: buckets of a fingerprint and a count that decays, with a
// probability falling exponentially in the count, when others meet it. Depth
// and decay are the library's defaults; width takes the memory there is.
type heavyKeeper struct {
	*topk.Sketch
	rng *rand.Rand // of the decay; seeded, so that a run can be repeated
}

// bucketBytes is one of its buckets.
const bucketBytes = 8

func newHeavyKeeper(bytes int64, k int) Peer {
	depth := max(3, int(math.Log(float64(k))))
	width := (bytes - int64(k)*(entryBytes+typicalName)) / (bucketBytes * int64(depth))
	return heavyKeeper{
		topk.New(k, topk.WithDepth(depth), topk.WithWidth(max(1, int(width)))),
		rand.New(rand.NewPCG(1, 4)),
	}
}

// Add is the library's Add but for two things. A weighted count costs no loop
// over its units: where another topic holds the bucket, decayed draws at once
// how many units each step of the decay takes, which gives the same
// distribution. And counters stop at their largest value instead of beginning
// at zero again.
func (h heavyKeeper) Add(topic string, n uint64) {
	fingerprint, increment := topk.Fingerprint(topic), uint32(min(n, math.MaxUint32))
	most := uint32(0)
	for i := range h.Depth {
		b := &h.Buckets[topk.BucketIndex(topic, i, h.Width)]
		switch {
		case b.Count == 0:
			b.Fingerprint, b.Count = fingerprint, increment
		case b.Fingerprint == fingerprint:
			b.Count = uint32(min(uint64(b.Count)+uint64(increment), math.MaxUint32))
		default:
			count, rest := decayed(h.rng, float64(h.Decay), b.Count, increment)
			if b.Count = count; rest == 0 {
				continue
			}
			b.Fingerprint, b.Count = fingerprint, rest
		}
		most = max(most, b.Count)
	}
	h.Heap.Update(topic, fingerprint, most)
}

// decayed is what n units of other topics leave of a bucket's count; where
// nothing is left, rest is how many of them remain to be counted instead, the
// one that took the last of it included.
//
// A unit takes one off a count c with probability decay^c, so the number of
// units until one does is geometric: ⌈ln u / ln(1 − decay^c)⌉ for an even u in
// (0, 1) (Devroye 1986, X.2). It soon exceeds any n as c grows, so there are
// some hundred steps at most, whatever n is.
func decayed(rng *rand.Rand, decay float64, count, n uint32) (left, rest uint32) {
	units := float64(n)
	for ; count > 0; count-- {
		step := math.Ceil(math.Log(1-rng.Float64()) / math.Log1p(-math.Pow(decay, float64(count))))
		if step = max(step, 1); !(step <= units) {
			return count, 0
		}
		if units -= step; count == 1 {
			return 0, uint32(units) + 1
		}
	}
	return 0, n
}

func (h heavyKeeper) Board(k int) Board {
	b := Board{Certified: -1}
	for _, item := range h.SortedSlice() {
		if len(b.Rows) < k && item.Item != "" {
			b.Rows = append(b.Rows, Row{Topic: item.Item, Estimate: uint64(item.Count)})
		}
	}
	return b
}

func (h heavyKeeper) Bytes() int64 { return int64(h.SizeBytes()) }
