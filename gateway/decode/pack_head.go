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
	bits  uint64 // a number, or how many bytes or values follow
}

// n is how many bytes or values follow.
func (h packHead) n() int { return int(h.bits) }

// packFormat says how the head that a byte begins goes on: width bytes of a
// big-endian number, then the type of an extension.
type packFormat struct {
	kind  packKind
	width uint8
	fixed uint8 // the length, where the first byte says it
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

// head reads the head at pos. What it announces fits into the rest of the
// body, so nobody has to believe a length.
func (s *packScanner) head(pos int) (h packHead, end int) {
	if pos >= len(s.src) {
		return h, s.short()
	}
	end = pos + 1
	switch c := s.src[pos]; {
	case c < 0x80:
		return packHead{kind: packUint, bits: uint64(c)}, end
	case c >= 0xe0:
		return packHead{kind: packInt, bits: uint64(int64(int8(c)))}, end
	case c < 0x90:
		h = packHead{kind: packMap, bits: uint64(c & 0x0f)}
	case c < 0xa0:
		h = packHead{kind: packArray, bits: uint64(c & 0x0f)}
	case c < 0xc0:
		h = packHead{kind: packStr, bits: uint64(c & 0x1f)}
	case c == 0xc1:
		return h, s.fail(pos, "0xc1 begins no value")
	default:
		h, end = s.longHead(packFormats[c-0xc0], end)
	}
	if end < 0 || !h.fits(len(s.src)-end) {
		return h, s.tooShort(h, pos, end)
	}
	return h, end
}

// longHead reads the part of a head behind its first byte.
func (s *packScanner) longHead(f packFormat, pos int) (h packHead, end int) {
	rest := s.src[pos:]
	if len(rest) < int(f.width) {
		return h, broken
	}
	h = packHead{kind: f.kind, width: f.width, bits: uint64(f.fixed)}
	end = pos + int(f.width)
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
	case packExt:
		if end >= len(s.src) {
			return h, broken
		}
		h.ext = int8(s.src[end])
		end++
	}
	return h, end
}

// fits tells whether what a head announces can be in so many bytes.
func (h packHead) fits(rest int) bool {
	switch h.kind {
	case packMap:
		return h.n() <= rest/2
	case packStr, packBin, packExt, packArray:
		return h.n() <= rest
	}
	return true
}

// tooShort fails for a head at pos that ends behind the body (end < 0), or
// announces more than follows.
func (s *packScanner) tooShort(h packHead, pos, end int) int {
	rest := len(s.src) - end
	switch {
	case end < 0:
		return s.short()
	case h.kind == packMap:
		return s.fail(pos, fmt.Sprintf("announces %d keys and values, but only %d bytes follow", h.n(), rest))
	}
	return s.fail(pos, fmt.Sprintf("announces %d bytes or values, but only %d bytes follow", h.n(), rest))
}

func (s *packScanner) short() int { return s.fail(len(s.src), "ends too early") }

func (s *packScanner) fail(at int, reason string) int {
	s.failed, s.reason = at, reason
	return broken
}
