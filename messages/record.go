package messages

import (
	"encoding/binary"
	"errors"
	"math"
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
	var flags uint64
	size := 2*binary.MaxVarintLen64 + len(r.Topic)
	set := func(on bool, flag uint64, n int) {
		if on {
			flags |= flag
			size += n + binary.MaxVarintLen64
		}
	}
	set(r.HasTime, flagTime, 0)
	set(len(r.ID) > 0, flagID, len(r.ID))
	set(r.Count > 1, flagCount, 0)
	set(len(r.Category) > 0, flagCategory, len(r.Category))
	set(len(r.Region) > 0, flagRegion, len(r.Region))
	set(len(r.User) > 0, flagUser, len(r.User))
	set(len(r.User) > 0 && r.UserPlain, flagUserPlain, 0)
	set(len(r.Extra) > 0, flagExtra, len(r.Extra))
	set(r.Stream != 0, flagStream, 0)
	set(r.HasWatch, flagWatch, 0)
	set(r.Completed == False, flagCompletedFalse, 0)
	set(r.Completed == True, flagCompletedTrue, 0)

	// The length goes in front; records are short, so reserve the width that
	// fits an upper bound and move only if the bound was too wide.
	start := len(dst)
	width := uvarintLen(uint64(size))
	for range width {
		dst = append(dst, 0)
	}
	body := len(dst)
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
	n := uint64(len(dst) - body)
	if w := uvarintLen(n); w < width {
		copy(dst[start+w:], dst[body:])
		dst = dst[:len(dst)-(width-w)]
		width = w
	}
	binary.PutUvarint(dst[start:start+width], n)
	return dst
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

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

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
