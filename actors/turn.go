package actors

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// choose is the partition whose turn it is. One that has failed waits, longer
// each time, and then takes turns with the others: what keeps it may be its own,
// and they may always be due. A partition that has stopped counts nothing more,
// and has no turn.
func (s *snapshotter) choose(now time.Time) (chosen messages.Partition, quiet, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	applied := make(messages.Position, len(s.saved))
	s.progress.applied(applied) // never behind what is saved by now
	running := s.progress.running()
	first, second := s.againLocked, s.dueLocked
	if s.failedLast {
		first, second = second, first
	}
	if chosen, due = first(now, applied, running); !due {
		chosen, due = second(now, applied, running)
	}
	return chosen, applied[chosen] == s.saved[chosen].offset, due
}

// againLocked chooses among the partitions that have failed, and have waited.
func (s *snapshotter) againLocked(now time.Time, applied messages.Position, running []bool) (chosen messages.Partition, due bool) {
	for i := range s.saved {
		saved := &s.saved[i]
		if !running[i] || saved.fails == 0 || now.Before(saved.again) || applied[i] == saved.offset && saved.quiet {
			continue
		}
		if !due || saved.again.Before(s.saved[chosen].again) {
			chosen, due = messages.Partition(i), true
		}
	}
	return chosen, due
}

// dueLocked chooses among the others.
func (s *snapshotter) dueLocked(now time.Time, applied messages.Position, running []bool) (chosen messages.Partition, due bool) {
	var all, most uint64
	oldest := -1
	for i, saved := range s.saved {
		if !running[i] || saved.fails > 0 {
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

// failLocked has a partition wait before its next turn.
func (s *savedState) failLocked(now time.Time, reason string) {
	wait := snapshotRetryMost
	if s.fails < 6 {
		wait = min(wait, snapshotRetry<<s.fails)
	}
	s.fails, s.err, s.again = s.fails+1, reason, now.Add(wait)
}
