package decode

// compact appends JSON that has been checked, without white space between its
// tokens; no more than makes the event too large to be kept.
func compact(dst, src []byte) []byte {
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
