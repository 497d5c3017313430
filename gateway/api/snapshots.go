package api

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// SnapshotsTaken answers POST /api/v1/admin/snapshot: the snapshots that were
// taken, in the order in which they were. A partition without anything new since
// its last one is left out.
type SnapshotsTaken struct {
	Snapshots []Snapshot `json:"snapshots"`
}

// Snapshot is one that was taken.
type Snapshot struct {
	Partition int     `json:"partition"`
	Offset    uint64  `json:"offset"`   // it has everything below
	TookMS    float64 `json:"took_ms"`  // until it was durable
	StallMS   float64 `json:"stall_ms"` // how long the shard stood still for it
}

// NewSnapshot converts one snapshot.
func NewSnapshot(s messages.Snapshot) Snapshot {
	return Snapshot{Partition: int(s.Partition), Offset: uint64(s.Offset), TookMS: milliseconds(s.Took), StallMS: milliseconds(s.Stall)}
}

// NewSnapshots converts snapshots; none is an empty list.
func NewSnapshots(in []messages.Snapshot) []Snapshot {
	out := make([]Snapshot, len(in))
	for i, s := range in {
		out[i] = NewSnapshot(s)
	}
	return out
}

// SnapshotStatus is what became of the snapshots since the node started.
type SnapshotStatus struct {
	Taken            uint64    `json:"taken"`
	Failed           uint64    `json:"failed"`
	LastError        string    `json:"last_error,omitempty"` // of a partition whose last one failed, if any
	UncoveredEntries uint64    `json:"uncovered_entries"`    // log entries counted that no snapshot has
	LongestStallMS   float64   `json:"longest_stall_ms"`
	Last             *Snapshot `json:"last"` // null before the first
}

// NewSnapshotStatus converts the status of the snapshots.
func NewSnapshotStatus(s *messages.SnapshotStatus) SnapshotStatus {
	out := SnapshotStatus{
		Taken: s.Taken, Failed: s.Failed, LastError: s.LastError,
		UncoveredEntries: s.Uncovered, LongestStallMS: milliseconds(s.LongestStall),
	}
	if s.Taken > 0 {
		last := NewSnapshot(s.Last)
		out.Last = &last
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
