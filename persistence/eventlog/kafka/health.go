package kafka

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/messages"
)

// patience is how long a partition's writes may fail before appends are refused
// at once instead of waiting as well.
const patience = 5 * time.Second

// health is what is known of the partitions' writers, or of their readers.
type health struct {
	logger      *slog.Logger
	began, over string       // one line each, for all partitions together
	count       atomic.Int32 // len(failing)

	mu      sync.Mutex
	failing map[messages.Partition]failure // what is being tried again
}

type failure struct {
	since time.Time
	last  error
	idle  bool // nobody tries any more
}

// fine says that nothing is being tried again in a partition.
func (h *health) fine(p messages.Partition) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.failing[p]
	if !ok {
		return
	}
	delete(h.failing, p)
	if h.count.Store(int32(len(h.failing))); len(h.failing) == 0 {
		h.logger.Info(h.over, "partition", p, "after", time.Since(f.since).Round(time.Millisecond))
	}
}

// failed says that something is going to be tried again.
func (h *health) failed(p messages.Partition, err error) { h.failedSince(p, time.Now(), err) }

// failedSince is failed, of what has been so for a while.
func (h *health) failedSince(p messages.Partition, since time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.failing[p]
	if !ok {
		f.since = since
		if len(h.failing) == 0 { // one line for all partitions, until all are fine
			h.logger.Warn(h.began, "partition", p, "error", brief(err))
		}
	}
	f.last, f.idle = err, false
	h.failing[p] = f
	h.count.Store(int32(len(h.failing)))
}

// forget says that nobody tries any more.
func (h *health) forget(p messages.Partition) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failing, p)
	h.count.Store(int32(len(h.failing)))
}

// gaveUp says that nobody tries any more, and that the last try failed. The
// partition stays as it is until something is written to it or its leader is
// probed: that what was tried is over says nothing good.
func (h *health) gaveUp(p messages.Partition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, ok := h.failing[p]; ok {
		f.idle = true
		h.failing[p] = f
	}
}

// probed takes what leaders answered, at or above 0 per partition: where nobody
// tries any more writes may be tried again.
func (h *health) probed(ends []int64) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, f := range h.failing {
		if f.idle && int(p) < len(ends) && ends[p] >= 0 {
			delete(h.failing, p)
		}
	}
	if h.count.Store(int32(len(h.failing))); len(h.failing) == 0 {
		h.logger.Info("kafka: the brokers answer again, and writes are tried")
	}
}

// lasting tells which partitions have been failing for a while.
func (h *health) lasting(of []bool) {
	clear(of)
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, f := range h.failing {
		if int(p) < len(of) {
			of[p] = time.Since(f.since) >= patience
		}
	}
}

// longest is the partition that has been failing for longest, if that is a
// while.
func (h *health) longest() (p messages.Partition, f failure, ok bool) {
	if h.count.Load() == 0 {
		return 0, f, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for q, g := range h.failing {
		if time.Since(g.since) >= patience && (!ok || g.since.Before(f.since)) {
			p, f, ok = q, g, true
		}
	}
	return p, f, ok
}

// err is nil, or that some partition has been failing for a while. It wraps
// messages.ErrStopped, and passes by itself.
func (h *health) err() error {
	if h.count.Load() == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, f := range h.failing {
		if lasted := time.Since(f.since); lasted >= patience {
			return fmt.Errorf("%w: kafka takes no writes to partition %d since %v: %w",
				messages.ErrStopped, p, lasted.Round(time.Second), brief(f.last))
		}
	}
	return nil
}
