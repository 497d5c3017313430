package messages

import (
	"io"
	"time"
)

// SnapshotInfo says what a snapshot of a partition is of. Its bytes are the
// actors' (actors/FORMAT.md); how they are kept is persistence/snapshot's.
type SnapshotInfo struct {
	Partition Partition
	// Offset is the next to be read: the snapshot has everything below it.
	Offset Offset
	// Arrival is the largest arrival below Offset.
	Arrival Micros
	// Format is the version of the bytes inside.
	Format uint32
}

// PartWriter takes the parts of one snapshot. Parts have names of their own
// within a snapshot, 1 to 256 bytes of UTF-8, and are read by them. It belongs
// to one goroutine; the first error of any method is that of all later ones.
type PartWriter interface {
	// Part stores a part: the bytes that write writes. They are on their way when
	// it returns, and stored when the whole snapshot is.
	Part(name string, write func(io.Writer) error) error
	// Shared stores a part that never has other bytes under its name in the same
	// partition: where the snapshot that this owner loaded or saved last has it,
	// it is not written again, and write is not called.
	Shared(name string, write func(io.Writer) error) error
}

// PartReader gives the parts of one snapshot. It belongs to one goroutine, and
// is fastest where parts are read in the order of Names.
type PartReader interface {
	// Names are those of its parts, in the order in which they were written.
	Names() []string
	// Part calls read with a part's bytes. No byte is handed out that has not been
	// checked; that they are all of them, in order, has been checked once read has
	// seen io.EOF, and what it does before that it must be able to throw away.
	Part(name string, read func(io.Reader) error) error
}

// Snapshot is one that was taken.
type Snapshot struct {
	Partition Partition
	Offset    Offset        // the next to be read behind it
	Took      time.Duration // until it was durable
	Stall     time.Duration // how long the shard stood still for it
}

// SnapshotStatus is what became of the snapshots since the start.
type SnapshotStatus struct {
	Taken, Failed uint64
	Last          Snapshot
	LastError     string // of a partition whose last one failed, if any
	LongestStall  time.Duration
	// Uncovered is how many log entries no snapshot has yet.
	Uncovered uint64
}
