package peers

import (
	"math"

	"github.com/keilerkonzept/topk"
)

// heavyKeeper is HeavyKeeper (Gong et al., USENIX ATC 2018), the algorithm
// behind Redis' TOPK: buckets of a fingerprint and a count that decays, with a
// probability falling exponentially in the count, when others meet it. Depth
// and decay are the library's defaults; width takes the memory there is.
type heavyKeeper struct{ *topk.Sketch }

// bucketBytes is one of its buckets.
const bucketBytes = 8

func newHeavyKeeper(bytes int64, k int) Peer {
	depth := max(3, int(math.Log(float64(k))))
	width := (bytes - int64(k)*(entryBytes+typicalName)) / (bucketBytes * int64(depth))
	return heavyKeeper{topk.New(k, topk.WithDepth(depth), topk.WithWidth(max(1, int(width))))}
}

// Add passes on what its 32-bit counters can take at once.
func (h heavyKeeper) Add(topic string, n uint64) {
	h.Sketch.Add(topic, uint32(min(n, math.MaxUint32)))
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
