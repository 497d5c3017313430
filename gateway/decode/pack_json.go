package decode

import (
	"encoding/base64"
	"strconv"
	"time"
)

// appendPacked appends the first msgpack value of src as JSON and returns what
// is behind it. The value has been scanned before. Strings and numbers stay
// what they are, a timestamp becomes RFC 3339, binary data base64. It stops in
// the middle once dst is beyond MaxExtraBytes, since such an event is refused.
func appendPacked(dst, src []byte) (_, rest []byte) {
	s := packScanner{src: src}
	h, pos := s.head(0)
	if h.kind == packArray || h.kind == packMap {
		return appendPackedAll(dst, src[pos:], h)
	}
	end := pos
	if h.kind == packStr || h.kind == packBin || h.kind == packExt {
		end += h.n()
	}
	switch h.kind {
	case packNil:
		dst = append(dst, "null"...)
	case packFalse:
		dst = append(dst, wordFalse...)
	case packTrue:
		dst = append(dst, wordTrue...)
	case packUint:
		dst = strconv.AppendUint(dst, h.bits, 10)
	case packInt:
		dst = strconv.AppendInt(dst, int64(h.bits), 10)
	case packFloat:
		dst = h.appendFloat(dst)
	case packStr:
		dst = appendQuoted(dst, src[pos:end])
	case packBin:
		dst = appendBase64(dst, src[pos:end])
	case packExt:
		dst = appendExt(dst, h.ext, src[pos:end])
	}
	return dst, src[end:]
}

// appendPackedAll appends the values of an array or map.
func appendPackedAll(dst, src []byte, h packHead) (_, rest []byte) {
	open, end := byte('['), byte(']')
	if h.kind == packMap {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := range h.n() {
		if len(dst) > MaxExtraBytes {
			return dst, nil
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if h.kind == packMap {
			dst, src = appendPacked(dst, src)
			dst = append(dst, ':')
		}
		dst, src = appendPacked(dst, src)
	}
	return append(dst, end), src
}

func appendExt(dst []byte, ext int8, data []byte) []byte {
	if seconds, nanos, ok := packedTime(ext, data); ok {
		dst = append(dst, '"')
		dst = time.Unix(seconds, int64(nanos)).UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"')
	}
	dst = append(dst, `{"ext":`...)
	dst = strconv.AppendInt(dst, int64(ext), 10)
	dst = append(dst, `,"data":`...)
	dst = appendBase64(dst, data)
	return append(dst, '}')
}

func appendBase64(dst, data []byte) []byte {
	data = data[:min(len(data), MaxExtraBytes)]
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

// appendQuoted appends valid UTF-8 as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	text = text[:min(len(text), MaxExtraBytes)]
	dst = append(dst, '"')
	if allPlain(text) { // mostly
		dst = append(dst, text...)
		return append(dst, '"')
	}
	for len(text) > 0 {
		n := plain(text, 0)
		dst = append(dst, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			break
		}
		switch c := text[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
		text = text[1:]
	}
	return append(dst, '"')
}
