package messages

import (
	"errors"
	"fmt"
	"time"
)

// Sentinels that callers branch on. The gateway alone turns them into HTTP.
var (
	// ErrStopped: the log takes no events (write error, full disk, closing).
	// What was not acknowledged may be sent again.
	ErrStopped = errors.New("the log takes no events")
	// ErrTooLarge: an event is larger than the log takes, now and when it is sent
	// again. Others of its frame may be in the log.
	ErrTooLarge = errors.New("an event is larger than the log takes")
	// ErrNotReady: the log is being replayed.
	ErrNotReady = errors.New("the node is replaying its log")
	// ErrBehind: After was not reached in time.
	ErrBehind = errors.New("the position asked for is not counted yet")
	// ErrBusy: the node did not get to the question in time.
	ErrBusy = errors.New("the node did not answer in time")
	// ErrPartition: a partition has failed; answers that need it cannot be given.
	ErrPartition = errors.New("a partition has failed")
	// ErrFenced: somebody else owns a partition now; whoever gets this stops
	// publishing it.
	ErrFenced = errors.New("the partition has another owner")
	// ErrLost: the log does not have any more what comes next in a partition.
	// Reading on behind it would leave events out and not say so.
	ErrLost = errors.New("the log has lost what comes next")
)

// PartitionError names a partition that has failed. It is ErrPartition, and what its
// cause is.
type PartitionError struct {
	Partition Partition
	Cause     error
	Others    int // how many more have failed, where that is told
}

func (e *PartitionError) Error() string {
	text := fmt.Sprintf("partition %d: %v: %v", e.Partition, e.Cause, ErrPartition)
	if e.Others > 0 {
		text += fmt.Sprintf(", as have %d more", e.Others)
	}
	return text
}

func (e *PartitionError) Unwrap() []error { return []error{ErrPartition, e.Cause} }

// RefusedError says that events cannot be taken now, and when to try again.
// Nothing of what was refused is counted.
type RefusedError struct {
	Reason     string
	RetryAfter time.Duration
}

func (e *RefusedError) Error() string { return e.Reason }

// NotKeptError says that a granularity is finer than what is kept.
type NotKeptError struct {
	Finest Micros // finest granularity that can be answered
}

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("for a window this long the finest granularity kept is %s; ask for it or a multiple of it", FormatLength(e.Finest))
}
