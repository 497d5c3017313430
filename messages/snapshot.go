package messages

import "io"

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
// within a snapshot, and are read by them.
type PartWriter interface {
	// Part stores a part: the bytes that write writes.
	Part(name string, write func(io.Writer) error) error
	// Shared stores a part that never has other bytes under its name in the same
	// partition from one snapshot to the next: where the snapshot before has it,
	// it is not written again, and write is not called.
	Shared(name string, write func(io.Writer) error) error
}

// PartReader gives the parts of one snapshot.
type PartReader interface {
	// Names are those of its parts, in the order in which they were written.
	Names() []string
	// Part calls read with a part's bytes. They have been checked against their
	// checksum once read has seen io.EOF; what it does before that it must be
	// able to throw away.
	Part(name string, read func(io.Reader) error) error
}
