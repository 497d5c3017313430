package actors

import (
	"math"
	"time"

	"github.com/crestdb/crest/messages"
)

// choose is the partition whose turn it is. One that has failed waits for all
// others that are due: what keeps it may be its own.
func (s *snapshotter) choose(now time.Time) (chosen messages.Partition, quiet, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	applied := make(messages.Position, len(s.saved))
	s.progress.applied(applied) // never behind what is saved by now
	for fails := 0; !due && fails < math.MaxInt; {
		chosen, due = s.dueLocked(now, applied, fails)
		more := math.MaxInt
		for _, saved := range s.saved {
			if saved.fails > fails {
				more = min(more, saved.fails)
			}
		}
		fails = more
	}
	return chosen, applied[chosen] == s.saved[chosen].offset, due
}

// dueLocked chooses among the partitions that have failed so often at most.
func (s *snapshotter) dueLocked(now time.Time, applied messages.Position, fails int) (chosen messages.Partition, due bool) {
	var all, most uint64
	oldest := -1
	for i, saved := range s.saved {
		if saved.fails > fails {
			continue
		}
		lag := uint64(applied[i] - saved.offset)
		if all += lag; lag > most {
			chosen, most = messages.Partition(i), lag
		}
		if now.Sub(saved.since) >= s.policy.Every && (lag > 0 || !saved.quiet) && (oldest < 0 || saved.since.Before(s.saved[oldest].since)) {
			oldest = i
		}
	}
	switch {
	case most > 0 && all >= s.policy.Lag:
		return chosen, true
	case oldest >= 0:
		return messages.Partition(oldest), true
	}
	return 0, false
}
