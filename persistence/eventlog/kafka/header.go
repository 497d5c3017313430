package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/crestdb/crest/messages"
)

// headerKey is the Kafka header that tells crest's own records from others'.
const headerKey = "crest"

var headerName = []byte(headerKey)

// headerVersion is that of the layout in FORMAT.md.
const headerVersion = 1

const (
	flagKeyed = 1 << iota
	flagFollows
	flagEvent

	flagsKnown = 1<<3 - 1
)

// headerFixed is the length of what every header begins with: version, kind,
// flags, writer.
const headerFixed = 3 + len(messages.WriterID{})

// blockHeader is what the header of a crest record says of the block, or of the
// part of one, that the record holds.
type blockHeader struct {
	kind messages.FrameKind
	sent messages.Sent
	// records is how many the part has; 0 for ticks, controls and key headers.
	records uint32
	// part numbers the parts of a block that was too large for one record, from 0.
	part uint32

	key  string // "": none; then no hash either
	hash messages.BodyHash

	// event: the Kafka record is one event of a part that has records of them, one
	// behind the other in one record batch; index counts them from 0, and record
	// is the event as crest encodes it.
	event  bool
	index  uint32
	record []byte
}

// appendTo encodes h behind dst.
func (h *blockHeader) appendTo(dst []byte) []byte {
	flags := byte(0)
	if h.key != "" {
		flags |= flagKeyed
	}
	if h.sent.Follows != nil {
		flags |= flagFollows
	}
	if h.event {
		flags |= flagEvent
	}
	dst = append(dst, headerVersion, byte(h.kind), flags)
	dst = append(dst, h.sent.Writer[:]...)
	dst = binary.AppendUvarint(dst, h.sent.Sequence)
	dst = binary.AppendVarint(dst, int64(h.sent.Stamp))
	dst = binary.AppendUvarint(dst, uint64(h.records))
	dst = binary.AppendUvarint(dst, uint64(h.part))
	if h.key != "" {
		dst = append(dst, byte(len(h.key)))
		dst = append(dst, h.key...)
		dst = append(dst, h.hash[:]...)
	}
	if f := h.sent.Follows; f != nil {
		dst = binary.AppendUvarint(dst, uint64(f.Home))
		dst = binary.AppendVarint(dst, int64(f.Until))
	}
	if h.event {
		dst = binary.AppendUvarint(dst, uint64(h.index))
		dst = append(dst, h.record...)
	}
	return dst
}

var (
	errHeader        = errors.New("malformed crest header")
	errHeaderVersion = errors.New("crest header of a version that this crest does not know")
)

// parseHeader decodes the value of a record's crest header. h.record points into
// b. What it does not know it refuses: a newer writer's record is never half
// understood.
func parseHeader(b []byte) (h blockHeader, err error) {
	if len(b) < headerFixed {
		return h, errHeader
	}
	if b[0] != headerVersion {
		return h, fmt.Errorf("%w: %d", errHeaderVersion, b[0])
	}
	h.kind = messages.FrameKind(b[1])
	flags := b[2]
	if flags&^flagsKnown != 0 || h.kind < messages.FrameEvents || h.kind > messages.FrameControl {
		return h, errHeader
	}
	copy(h.sent.Writer[:], b[3:])
	d := headerReader{b: b[headerFixed:]}
	h.sent.Sequence = d.uvarint()
	h.sent.Stamp = messages.Micros(d.varint())
	h.records = d.uint32()
	h.part = d.uint32()
	if flags&flagKeyed != 0 {
		h.key = string(d.take(int(d.byte())))
		copy(h.hash[:], d.take(len(h.hash)))
		d.bad = d.bad || h.key == "" || len(h.key) > messages.MaxKeyBytes
	}
	if flags&flagFollows != 0 {
		f := &messages.Followed{Home: messages.Offset(d.uvarint())}
		f.Until = messages.Micros(d.varint())
		h.sent.Follows = f
		d.bad = d.bad || h.key == ""
	}
	if flags&flagEvent != 0 {
		h.event, h.index = true, d.uint32()
		h.record, d.b = d.b, nil
		d.bad = d.bad || h.index >= h.records
	}
	if d.bad || len(d.b) > 0 || h.sent.Sequence == 0 {
		return blockHeader{}, errHeader
	}
	return h, nil
}

// headerReader reads fields off b; after the first bad one it returns zeros.
type headerReader struct {
	b   []byte
	bad bool
}

func (d *headerReader) take(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *headerReader) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *headerReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	return advance(d, v, n)
}

func (d *headerReader) varint() int64 {
	v, n := binary.Varint(d.b)
	return advance(d, v, n)
}

func (d *headerReader) uint32() uint32 {
	v := d.uvarint()
	if v > 1<<32-1 {
		d.bad = true
	}
	return uint32(v)
}

func advance[T any](d *headerReader, v T, n int) T {
	if d.bad || n <= 0 {
		d.bad = true
		var none T
		return none
	}
	d.b = d.b[n:]
	return v
}
