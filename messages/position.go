package messages

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Partition numbers one part of the log, 0 … partitions-1. All records of a
// topic are in one partition (see Routes).
type Partition uint32

// Offset is a place in a partition: the number of log entries before it. A
// block takes as many offsets as it has records; a block without records (a
// tick, a control record, an Idempotency-Key's header) takes one.
type Offset uint64

// LogID names a log: made at random when the log is made, never changed.
type LogID [16]byte

// Position is a place in the whole log: per partition the offset behind the
// last entry meant (0: nothing of this partition). Its length is the number
// of partitions.
type Position []Offset

// Covers tells whether everything before other is also before p.
func (p Position) Covers(other Position) bool {
	for i, o := range other {
		if o > 0 && (i >= len(p) || p[i] < o) {
			return false
		}
	}
	return true
}

// Raise lifts p to other where other is further.
func (p Position) Raise(other Position) {
	for i, o := range other {
		if i < len(p) && o > p[i] {
			p[i] = o
		}
	}
}

// ErrPosition is returned for a token that is no position of this log.
var ErrPosition = errors.New("not a position of this log")

const positionVersion = 1

// AppendTo encodes p as version, the first four bytes of the log's id, and
// (partition, offset) pairs of the partitions it names, ascending.
func (p Position) AppendTo(dst []byte, log LogID) []byte {
	dst = append(dst, positionVersion)
	dst = append(dst, log[:4]...)
	for i, o := range p {
		if o > 0 {
			dst = binary.AppendUvarint(dst, uint64(i))
			dst = binary.AppendUvarint(dst, uint64(o))
		}
	}
	return dst
}

// Token is the position as clients see it: opaque, URL-safe text.
func (p Position) Token(log LogID) string {
	return base64.RawURLEncoding.EncodeToString(p.AppendTo(nil, log))
}

// ParsePosition reads a token made by Token for the same log. Anything else is
// ErrPosition, with the reason.
func ParsePosition(token string, log LogID, partitions int) (Position, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 5 || b[0] != positionVersion {
		return nil, fmt.Errorf("%w: malformed token", ErrPosition)
	}
	if string(b[1:5]) != string(log[:4]) {
		return nil, fmt.Errorf("%w: it was given out by another log", ErrPosition)
	}
	b = b[5:]
	p := make(Position, partitions)
	for last := -1; len(b) > 0; {
		i, n := binary.Uvarint(b)
		if n <= 0 || i >= uint64(partitions) || int(i) <= last {
			return nil, fmt.Errorf("%w: malformed token", ErrPosition)
		}
		o, m := binary.Uvarint(b[n:])
		if m <= 0 || o == 0 {
			return nil, fmt.Errorf("%w: malformed token", ErrPosition)
		}
		p[i], last, b = Offset(o), int(i), b[n+m:]
	}
	return p, nil
}
