package decode

import "encoding/binary"

// compact appends JSON that has been checked, without white space between its
// tokens; no more than makes the event too large to be kept.
func compact(dst, src []byte) []byte {
	if solid(src) {
		return appendBounded(dst, src)
	}
	quoted, from := false, 0
	for i := 0; i < len(src) && len(dst) <= MaxExtraBytes; i++ {
		switch c := src[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++ // only inside of strings
		case c <= ' ' && !quoted:
			dst = appendBounded(dst, src[from:i])
			from = i + 1
		}
	}
	return appendBounded(dst, src[from:])
}

func appendBounded(dst, src []byte) []byte {
	room := max(0, MaxExtraBytes+1-len(dst))
	return append(dst, src[:min(len(src), room)]...)
}

// solid tells whether there is no white space at all, also none in strings: then
// there is nothing to be left out.
func solid(src []byte) bool {
	for ; len(src) >= 8; src = src[8:] {
		if w := binary.LittleEndian.Uint64(src); (w-0x21*ones)&^w&highs != 0 {
			return false
		}
	}
	for _, c := range src {
		if c <= ' ' {
			return false
		}
	}
	return true
}
