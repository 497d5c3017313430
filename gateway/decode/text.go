package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// A string is scanned eight bytes at a time up to its next special byte: a
// quote, a backslash, a control character (C0, DEL) or the first byte of a
// longer UTF-8 sequence.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the special bytes of a word by their high bits. The lowest
// mark is always right; a mark above another one may be wrong.
func special(w uint64) uint64 {
	quote, slash := w^('"'*ones), w^('\\'*ones)
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-0x20*ones)&^w | w | (w + ones)) & highs
}

// plain is where the first special byte from pos on is.
func plain(src []byte, pos int) int {
	for ; len(src)-pos >= 8; pos += 8 {
		if m := special(binary.LittleEndian.Uint64(src[pos:])); m != 0 {
			return pos + bits.TrailingZeros64(m)/8
		}
	}
	for ; pos < len(src); pos++ {
		if c := src[pos]; c == '"' || c == '\\' || c < 0x20 || c >= 0x7f {
			break
		}
	}
	return pos
}

// allPlain tells whether a text has no special byte. Its last bytes are looked at as
// a word too, together with some before them.
func allPlain(s []byte) bool {
	n := len(s)
	switch {
	case n >= 8:
		for at := 0; at < n-8; at += 8 {
			if special(binary.LittleEndian.Uint64(s[at:])) != 0 {
				return false
			}
		}
		return special(binary.LittleEndian.Uint64(s[n-8:])) == 0
	case n >= 4:
		return special(uint64(binary.LittleEndian.Uint32(s))|uint64(binary.LittleEndian.Uint32(s[n-4:]))<<32) == 0
	}
	return plain(s, 0) == n
}

// text is a string as it stands in the source, without its quotes.
type text struct {
	raw     []byte
	escaped bool // has backslashes
	control bool // has DEL or C1 characters, not counting escapes
}

// quoted scans a string from its opening quote at pos and checks its UTF-8 and
// its escapes.
func (s *jsonScanner) quoted(pos int) (t text, end int) {
	src := s.src
	end = pos + 1
	for len(src)-end >= 8 {
		m := special(binary.LittleEndian.Uint64(src[end:]))
		if m == 0 {
			end += 8
			continue
		}
		end += bits.TrailingZeros64(m) / 8
		if src[end] == '"' {
			return text{raw: src[pos+1 : end]}, end + 1
		}
		break
	}
	return s.quotedOn(pos, end)
}

// quotedOn is quoted for a string with nothing special before end.
func (s *jsonScanner) quotedOn(pos, end int) (t text, _ int) {
	src := s.src
	for {
		end = plain(src, end)
		if end >= len(src) {
			return t, s.fail(pos, "the string is not closed")
		}
		switch c := src[end]; {
		case c == '"':
			t.raw = src[pos+1 : end]
			return t, end + 1
		case c == '\\':
			n := escapeLength(src[end:])
			if n == 0 {
				return t, s.fail(end, `not an escape: want \" \\ \/ \b \f \n \r \t or \u and four hexadecimal digits, surrogates in pairs`)
			}
			t.escaped = true
			end += n
		case c < 0x20:
			return t, s.fail(end, "a control character in a string must be escaped")
		case c == 0x7f:
			t.control = true
			end++
		default:
			r, n := utf8.DecodeRune(src[end:])
			if r == utf8.RuneError && n <= 1 {
				return t, s.fail(end, "invalid UTF-8")
			}
			t.control = t.control || r < 0xa0
			end += n
		}
	}
}

// escapeLength is the length of the escape at the start of src, 0 if it is
// none. A pair of surrogates is one escape; half a pair is none.
func escapeLength(src []byte) int {
	if len(src) < 2 {
		return 0
	}
	if src[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), src[1]) < 0 {
			return 0
		}
		return 2
	}
	r := hex4(src)
	switch {
	case r < 0:
		return 0
	case !utf16.IsSurrogate(r):
		return 6
	case len(src) >= 12 && utf16.DecodeRune(r, hex4(src[6:])) != utf8.RuneError:
		return 12
	}
	return 0
}

// hex4 reads `\u` and four hexadecimal digits, or returns -1.
func hex4(src []byte) rune {
	if len(src) < 6 || src[0] != '\\' || src[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range src[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends the content of a string whose escapes have been checked.
func unescape(dst, src []byte) []byte {
	for len(src) > 0 {
		n := bytes.IndexByte(src, '\\')
		if n < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:n]...)
		src = src[n:]
		length := 2
		switch c := src[1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(src)
			if length = 6; utf16.IsSurrogate(r) {
				r, length = utf16.DecodeRune(r, hex4(src[6:])), 12
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		src = src[length:]
	}
	return dst
}

// hasControl finds C0, DEL and C1 characters in valid UTF-8.
func hasControl(s []byte) bool {
	for i, c := range s {
		if c < 0x20 || c == 0x7f || c == 0xc2 && s[i+1] < 0xa0 {
			return true
		}
	}
	return false
}
