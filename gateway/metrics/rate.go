package metrics

import (
	"sync"
	"time"
)

// rateSpan is how many seconds a Rate looks back.
const rateSpan = 10

// Rate is how often something happens per second, over the last 10 seconds.
// The zero value is ready. It may be used by many goroutines at once.
type Rate struct {
	mu      sync.Mutex
	first   int64             // second of the first Add, 0 before it
	last    int64             // newest second seen
	buckets [rateSpan + 1]int // by second modulo its length; the newest is still filling
}

// Add counts n happenings at now.
func (r *Rate) Add(now time.Time, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moveLocked(now.Unix())
	if r.first == 0 {
		r.first = r.last
	}
	r.buckets[r.last%int64(len(r.buckets))] += n
}

// PerSecond is the rate over the full seconds before now, at most 10 of them,
// from the first Add on. Within the very first second it is what came so far.
func (r *Rate) PerSecond(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moveLocked(now.Unix())
	if r.first == 0 {
		return 0
	}
	sum := 0
	for _, n := range r.buckets {
		sum += n
	}
	seconds := min(r.last-r.first, rateSpan)
	if seconds == 0 {
		return float64(sum)
	}
	return float64(sum-r.buckets[r.last%int64(len(r.buckets))]) / float64(seconds)
}

// moveLocked empties the buckets of the seconds that began since; a clock set
// back changes nothing.
func (r *Rate) moveLocked(second int64) {
	for n := min(second-r.last, int64(len(r.buckets))); n > 0; n-- {
		r.buckets[(second-n+1)%int64(len(r.buckets))] = 0
	}
	r.last = max(r.last, second)
}
