package eventlog

import (
	"errors"
	"fmt"
)

// CorruptError says that what was durable is not there any more, or was
// changed. Open returns it instead of opening; Verify says what is lost.
type CorruptError struct {
	File   string // base name of the damaged or missing file
	Byte   int64  // where the damage begins
	Reason string
}

func (e *CorruptError) Error() string {
	advice := "crest log verify tells what is lost"
	if e.File == metaName { // without it nothing can be told
		advice = "put it back from a backup of the data folder; the rest of the log is as it was"
	}
	return fmt.Sprintf("%s is damaged at byte %d: %s; %s", e.File, e.Byte, e.Reason, advice)
}

// VersionError says that a file is of a later format than this program knows.
// Nothing is damaged, and nothing has been changed.
type VersionError struct {
	File    string // base name
	Version uint32 // of the file
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s is of format version %d, this program reads up to version %d: start the crest that wrote it, or a later one", e.File, e.Version, formatVersion)
}

// What can be wrong with a frame. Below the durable length each is
// corruption, above it the end of what can be kept.
var (
	errLength   = errors.New("impossible frame length")
	errPastEnd  = errors.New("frame runs past the end")
	errEnds     = errors.New("the file ends before its durable length")
	errChecksum = errors.New("checksum")
	errShape    = errors.New("malformed frame")
	errGap      = errors.New("offsets do not continue the log")
)
