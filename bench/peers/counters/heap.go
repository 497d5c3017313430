package counters

import (
	"cmp"
	"strings"
	"unsafe"
)

// entry is a topic in a heap.
type entry struct {
	topic string
	count uint64
	over  uint64 // of count, what may be others' (Space-Saving's error)
}

// minHeap keeps entries with the least count first, and finds them by topic.
type minHeap struct {
	entries []entry
	at      map[string]int // index in entries
	names   int64          // bytes of their topics
}

// entryBytes is an entry with its place in the map, without its topic: Go's
// map takes a string, an int and a control byte per slot, at 7 of 8 to half
// full.
const entryBytes = int64(unsafe.Sizeof(entry{})) + 36

func newMinHeap() minHeap { return minHeap{at: make(map[string]int)} }

func (h *minHeap) bytes() int64 { return int64(len(h.entries))*entryBytes + h.names }

// push adds an entry of a topic that is not there.
func (h *minHeap) push(e entry) {
	h.names += int64(len(e.topic))
	h.entries = append(h.entries, e)
	h.at[e.topic] = len(h.entries) - 1
	h.up(len(h.entries) - 1)
}

// raise sets the count of the i-th entry to a greater one.
func (h *minHeap) raise(i int, count uint64) {
	h.entries[i].count = count
	h.down(i)
}

// replace puts an entry in the place of the least.
func (h *minHeap) replace(e entry) {
	old := h.entries[0].topic
	delete(h.at, old)
	h.names += int64(len(e.topic) - len(old))
	h.entries[0] = e
	h.at[e.topic] = 0
	h.down(0)
}

func (h *minHeap) up(i int) {
	for i > 0 && h.entries[i].count < h.entries[(i-1)/2].count {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *minHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.entries) {
			return
		}
		if child+1 < len(h.entries) && h.entries[child+1].count < h.entries[child].count {
			child++
		}
		if h.entries[i].count <= h.entries[child].count {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *minHeap) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.at[h.entries[i].topic], h.at[h.entries[j].topic] = i, j
}

// compareCounts orders by count, greatest first, then by topic.
func compareCounts(a, b uint64, topicA, topicB string) int {
	return cmp.Or(cmp.Compare(b, a), strings.Compare(topicA, topicB))
}
