package decode

import (
	"encoding/binary"
	"fmt"
)

// packKind is a family of msgpack formats that are read alike.
type packKind uint8

const (
	packNil packKind = iota
	packFalse
	packTrue
	packUint  // bits
	packInt   // bits, negative
	packFloat // bits of a float32 or float64, by width
	packStr   // n bytes follow
	packBin   // n bytes follow
	packExt   // n bytes follow, of type ext
	packArray // n values follow
	packMap   // n keys, each with a value, follow
)

// packHead is what stands in front of a msgpack value.
type packHead struct {
	kind  packKind
	width uint8 // of a float, in bytes
	ext   int8
	n     int
	bits  uint64
}

// packFormat says how the head that a byte begins goes on: width bytes of a
// big-endian number, then the type of an extension.
type packFormat struct {
	kind  packKind
	width uint8
	fixed int8 // the length, where the first byte says it
}

// packFormats are the formats of the bytes 0xc0 … 0xdf. 0xc1 is never used.
var packFormats = [32]packFormat{
	0x00: {kind: packNil}, 0x02: {kind: packFalse}, 0x03: {kind: packTrue},
	0x04: {packBin, 1, 0}, 0x05: {packBin, 2, 0}, 0x06: {packBin, 4, 0},
	0x07: {packExt, 1, 0}, 0x08: {packExt, 2, 0}, 0x09: {packExt, 4, 0},
	0x0a: {packFloat, 4, 0}, 0x0b: {packFloat, 8, 0},
	0x0c: {packUint, 1, 0}, 0x0d: {packUint, 2, 0}, 0x0e: {packUint, 4, 0}, 0x0f: {packUint, 8, 0},
	0x10: {packInt, 1, 0}, 0x11: {packInt, 2, 0}, 0x12: {packInt, 4, 0}, 0x13: {packInt, 8, 0},
	0x14: {packExt, 0, 1}, 0x15: {packExt, 0, 2}, 0x16: {packExt, 0, 4}, 0x17: {packExt, 0, 8}, 0x18: {packExt, 0, 16},
	0x19: {packStr, 1, 0}, 0x1a: {packStr, 2, 0}, 0x1b: {packStr, 4, 0},
	0x1c: {packArray, 2, 0}, 0x1d: {packArray, 4, 0},
	0x1e: {packMap, 2, 0}, 0x1f: {packMap, 4, 0},
}

// head reads the head at s.pos. What it announces fits into the rest of the
// body, so nobody has to believe a length.
func (s *packScanner) head() (h packHead, ok bool) {
	if s.pos >= len(s.src) {
		return h, s.short()
	}
	at := s.pos
	c := s.src[at]
	s.pos++
	switch {
	case c < 0x80:
		return packHead{kind: packUint, bits: uint64(c)}, true
	case c >= 0xe0:
		return packHead{kind: packInt, bits: uint64(int64(int8(c)))}, true
	case c < 0x90:
		h = packHead{kind: packMap, n: int(c & 0x0f)}
	case c < 0xa0:
		h = packHead{kind: packArray, n: int(c & 0x0f)}
	case c < 0xc0:
		h = packHead{kind: packStr, n: int(c & 0x1f)}
	case c == 0xc1:
		return h, s.fail(at, "0xc1 begins no value")
	default:
		if h, ok = s.longHead(packFormats[c-0xc0]); !ok {
			return h, false
		}
	}
	return h, s.fits(at, h)
}

func (s *packScanner) longHead(f packFormat) (h packHead, ok bool) {
	rest := s.src[s.pos:]
	if len(rest) < int(f.width) {
		return h, s.short()
	}
	s.pos += int(f.width)
	h = packHead{kind: f.kind, width: f.width, n: int(f.fixed)}
	switch f.width {
	case 1:
		h.bits = uint64(rest[0])
	case 2:
		h.bits = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		h.bits = uint64(binary.BigEndian.Uint32(rest))
	case 8:
		h.bits = binary.BigEndian.Uint64(rest)
	}
	switch f.kind {
	case packInt:
		shift := 64 - 8*f.width
		h.bits = uint64(int64(h.bits<<shift) >> shift)
		if int64(h.bits) >= 0 {
			h.kind = packUint
		}
	case packBin, packStr, packArray, packMap:
		h.n = int(h.bits)
	case packExt:
		if f.width > 0 {
			h.n = int(h.bits)
		}
		if s.pos >= len(s.src) {
			return h, s.short()
		}
		h.ext = int8(s.src[s.pos])
		s.pos++
	}
	return h, true
}

// fits tells whether what a head announces can be in the rest of the body.
func (s *packScanner) fits(at int, h packHead) bool {
	rest := len(s.src) - s.pos
	switch h.kind {
	case packStr, packBin, packExt, packArray:
		if h.n > rest {
			return s.fail(at, fmt.Sprintf("announces %d bytes or values, but only %d bytes follow", h.n, rest))
		}
	case packMap:
		if h.n > rest/2 {
			return s.fail(at, fmt.Sprintf("announces %d keys and values, but only %d bytes follow", h.n, rest))
		}
	}
	return true
}

// bytes are the n bytes at s.pos, which head has seen to be there.
func (s *packScanner) bytes(n int) []byte {
	b := s.src[s.pos : s.pos+n]
	s.pos += n
	return b
}

func (s *packScanner) short() bool { return s.fail(len(s.src), "ends too early") }

func (s *packScanner) fail(at int, reason string) bool {
	s.failed, s.reason = at, reason
	return false
}
