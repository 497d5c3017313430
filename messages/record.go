package messages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Bounds of what a record may hold; the gateway refuses more.
const (
	MaxTopicBytes  = 512     // topic, 1 … 512 bytes of UTF-8 without control characters
	MaxNameBytes   = 255     // category, region
	MaxIDBytes     = 512     // event_id
	MaxUserBytes   = 512     // user_id, before hashing
	MaxKeyBytes    = 128     // Idempotency-Key, printable ASCII
	MaxCount       = 1 << 31 // count of one event
	UserHashLength = 16      // bytes of a keyed user hash
)

// Record is one event as the log keeps it. Its byte slices point into the
// buffer it was read from; they are valid as long as that buffer is unchanged.
type Record struct {
	Topic    []byte // required
	Category []byte // empty: none
	Region   []byte // empty: none
	ID       []byte // event_id, empty: none
	User     []byte // a keyed hash of UserHashLength bytes, or the plain id if UserPlain; empty: none
	Extra    []byte // other fields: the members of one JSON object, without its braces; empty: none

	Time  Micros // event time; meaningful if HasTime, else the arrival stamp of its frame holds
	Count uint64 // 1 … MaxCount

	// Stream is reserved: 0 until several streams share one log.
	Stream uint32
	// WatchMillis is watch_time_sec in milliseconds; meaningful if HasWatch.
	WatchMillis uint64
	Completed   Tristate

	HasTime   bool
	HasWatch  bool
	UserPlain bool
}

// Check tells whether the record keeps to the bounds of what a gateway takes.
// One that somebody else has encoded need not: ReadFrom tells only whether it can
// be read.
func (r *Record) Check() error {
	switch {
	case len(r.Topic) == 0:
		return fmt.Errorf("%w: no topic", ErrRecord)
	case len(r.Topic) > MaxTopicBytes || len(r.Category) > MaxNameBytes || len(r.Region) > MaxNameBytes ||
		len(r.ID) > MaxIDBytes || len(r.User) > MaxUserBytes:
		return fmt.Errorf("%w: a field is too long", ErrRecord)
	case r.Count < 1 || r.Count > MaxCount:
		return fmt.Errorf("%w: count %d", ErrRecord, r.Count)
	case r.HasTime && (r.Time < 0 || r.Time >= maxTime):
		return fmt.Errorf("%w: time %d", ErrRecord, r.Time)
	case !text(r.Topic) || !text(r.Category) || !text(r.Region):
		return fmt.Errorf("%w: a name is no text", ErrRecord)
	}
	return nil
}

// maxTime is behind the last time that an event may have.
const maxTime Micros = 1e17

// text tells whether b is UTF-8 without control characters.
func text(b []byte) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || r < 0xa0 {
			return false
		}
		i += n
	}
	return true
}

// Tristate is a boolean that may be missing.
type Tristate uint8

// The values of a Tristate.
const (
	Unknown Tristate = iota
	False
	True
)

const (
	flagTime = 1 << iota
	flagID
	flagCount
	flagCategory
	flagRegion
	flagUser
	flagUserPlain
	flagExtra
	flagStream
	flagWatch
	flagCompletedFalse
	flagCompletedTrue

	flagsKnown = 1<<12 - 1
)

// ErrRecord is returned for bytes that are not a record.
var ErrRecord = errors.New("malformed record")

// AppendTo encodes r behind dst; the layout is in FORMAT.md.
func (r *Record) AppendTo(dst []byte) []byte {
	// The length goes in front, so it is counted before anything is written.
	flags, size := r.measure()
	dst = slices.Grow(dst, uvarintLen(uint64(size))+size)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = binary.AppendUvarint(dst, flags)
	dst = appendBytes(dst, r.Topic)
	if r.HasTime {
		dst = binary.AppendVarint(dst, int64(r.Time))
	}
	if len(r.ID) > 0 {
		dst = appendBytes(dst, r.ID)
	}
	if r.Count > 1 {
		dst = binary.AppendUvarint(dst, r.Count)
	}
	if len(r.Category) > 0 {
		dst = appendBytes(dst, r.Category)
	}
	if len(r.Region) > 0 {
		dst = appendBytes(dst, r.Region)
	}
	if len(r.User) > 0 {
		dst = appendBytes(dst, r.User)
	}
	if len(r.Extra) > 0 {
		dst = appendBytes(dst, r.Extra)
	}
	if r.Stream != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Stream))
	}
	if r.HasWatch {
		dst = binary.AppendUvarint(dst, r.WatchMillis)
	}
	return dst
}

// measure is the flags of r, and its length as encoded, behind that length.
func (r *Record) measure() (flags uint64, size int) {
	size = bytesLen(r.Topic)
	if r.HasTime {
		flags |= flagTime
		size += uvarintLen(zigzag(int64(r.Time)))
	}
	if len(r.ID) > 0 {
		flags |= flagID
		size += bytesLen(r.ID)
	}
	if r.Count > 1 {
		flags |= flagCount
		size += uvarintLen(r.Count)
	}
	if len(r.Category) > 0 {
		flags |= flagCategory
		size += bytesLen(r.Category)
	}
	if len(r.Region) > 0 {
		flags |= flagRegion
		size += bytesLen(r.Region)
	}
	if len(r.User) > 0 {
		flags |= flagUser
		size += bytesLen(r.User)
		if r.UserPlain {
			flags |= flagUserPlain
		}
	}
	if len(r.Extra) > 0 {
		flags |= flagExtra
		size += bytesLen(r.Extra)
	}
	if r.Stream != 0 {
		flags |= flagStream
		size += uvarintLen(uint64(r.Stream))
	}
	if r.HasWatch {
		flags |= flagWatch
		size += uvarintLen(r.WatchMillis)
	}
	switch r.Completed {
	case False:
		flags |= flagCompletedFalse
	case True:
		flags |= flagCompletedTrue
	}
	return flags, size + uvarintLen(flags)
}

// ReadFrom decodes the first record of src into r and returns the bytes behind
// it. r's slices point into src. Unknown or contradictory flags are an error: a
// newer writer's record is never half understood. After an error r holds
// nothing of use.
func (r *Record) ReadFrom(src []byte) (rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)-w) {
		return nil, ErrRecord
	}
	d := decoder{b: src[w : w+int(n)]}
	rest = src[w+int(n):]
	flags := d.uvarint()
	*r = Record{Count: 1}
	r.Topic = d.bytes()
	if flags&flagTime != 0 {
		r.HasTime, r.Time = true, Micros(d.varint())
	}
	if flags&flagID != 0 {
		r.ID = d.bytes()
	}
	if flags&flagCount != 0 {
		r.Count = d.uvarint()
	}
	if flags&flagCategory != 0 {
		r.Category = d.bytes()
	}
	if flags&flagRegion != 0 {
		r.Region = d.bytes()
	}
	if flags&flagUser != 0 {
		r.User, r.UserPlain = d.bytes(), flags&flagUserPlain != 0
	}
	if flags&flagExtra != 0 {
		r.Extra = d.bytes()
	}
	if flags&flagStream != 0 {
		stream := d.uvarint()
		d.bad = d.bad || stream > math.MaxUint32
		r.Stream = uint32(stream)
	}
	if flags&flagWatch != 0 {
		r.HasWatch, r.WatchMillis = true, d.uvarint()
	}
	switch {
	case flags&flagCompletedFalse != 0:
		r.Completed = False
	case flags&flagCompletedTrue != 0:
		r.Completed = True
	}
	if d.bad || len(d.b) > 0 || !flagsAgree(flags) || r.Count == 0 {
		return nil, ErrRecord
	}
	return rest, nil
}

// flagsAgree tells whether a writer of this version can have set these flags.
func flagsAgree(flags uint64) bool {
	const completed = flagCompletedFalse | flagCompletedTrue
	return flags <= flagsKnown &&
		flags&completed != completed &&
		(flags&flagUserPlain == 0 || flags&flagUser != 0)
}

// uvarintLen is the length of v as a varint: 7 bits a byte, at least one byte.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// zigzag is v as binary.AppendVarint writes it.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

// bytesLen is the length of a field with its own length in front.
func bytesLen(b []byte) int { return uvarintLen(uint64(len(b))) + len(b) }

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// decoder reads fields off b; after the first bad one it returns zero values.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 { // nearly all of them: lengths and flags
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes reads a field that is not empty: an empty one is left out, with its
// flag.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n == 0 || n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}
