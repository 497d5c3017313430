package eventlog

import (
	"fmt"

	"github.com/crestdb/crest/messages"
)

// GaveUpError is an append that was not waited for any longer. It counts as
// messages.ErrStopped: what was not acknowledged may be sent again.
type GaveUpError struct {
	Cause    error
	WaitedAs string // what the frame waited for
	Outcome  string // NotInTheLog or MaybeInTheLog
}

// What became of the frame, as far as that is known.
const (
	NotInTheLog   = "it is not in the log"
	MaybeInTheLog = "it may come to be in the log"
)

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("%v while the frame waited %s: %s", e.Cause, e.WaitedAs, e.Outcome)
}

func (e *GaveUpError) Unwrap() []error { return []error{e.Cause, messages.ErrStopped} }
