package input

import "encoding/binary"

// shape is what the first byte of a msgpack value says of the rest: a length
// of some width, then payload and further values, some of them per unit of
// that length.
type shape struct {
	width             int // bytes of the length, 0: none
	bytes, values     int64
	perByte, perValue int64
}

// head applies the length, which is the width's bytes.
func (s shape) head(length []byte) head {
	var wide [4]byte
	copy(wide[4-len(length):], length)
	n := int64(binary.BigEndian.Uint32(wide[:]))
	return head{bytes: s.bytes + n*s.perByte, values: s.values + n*s.perValue}
}

// shapeOf is the shape of a value by its first byte; false for the one byte
// that begins none.
func shapeOf(code byte) (shape, bool) {
	switch {
	case code <= 0x7f || code >= 0xe0: // small integers
		return shape{}, true
	case code <= 0x8f: // small maps
		return shape{values: 2 * int64(code&0x0f)}, true
	case code <= 0x9f: // small arrays
		return shape{values: int64(code & 0x0f)}, true
	case code <= 0xbf: // short strings
		return shape{bytes: int64(code & 0x1f)}, true
	case code == 0xc1:
		return shape{}, false
	case code <= 0xc3: // nil, false, true
		return shape{}, true
	case code <= 0xc6: // binary
		return shape{width: 1 << (code - 0xc4), perByte: 1}, true
	case code <= 0xc9: // extensions, with a byte for their type
		return shape{width: 1 << (code - 0xc7), bytes: 1, perByte: 1}, true
	case code <= 0xcb: // floats
		return shape{bytes: 4 << (code - 0xca)}, true
	case code <= 0xd3: // integers
		return shape{bytes: 1 << (code & 3)}, true
	case code <= 0xd8: // extensions of fixed length
		return shape{bytes: 1 + 1<<(code-0xd4)}, true
	case code <= 0xdb: // strings
		return shape{width: 1 << (code - 0xd9), perByte: 1}, true
	case code <= 0xdd: // arrays
		return shape{width: 2 << (code - 0xdc), perValue: 1}, true
	}
	return shape{width: 2 << (code - 0xde), perValue: 2}, true // maps
}
