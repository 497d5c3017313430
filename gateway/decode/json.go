package decode

// jsonScanner reads JSON as RFC 8259 has it and no further, in one pass from
// source to event. A method that returns false has called fail.
type jsonScanner struct {
	src   []byte
	pos   int
	arena []byte // unescaped text of the current event

	failed int // where the source is broken
	reason string
}

func (s *jsonScanner) fail(at int, reason string) bool {
	s.failed, s.reason = at, reason
	return false
}

// next skips white space and returns the byte behind it, 0 at the end.
func (s *jsonScanner) next() byte {
	for ; s.pos < len(s.src); s.pos++ {
		if c := s.src[s.pos]; c > ' ' || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

func (s *jsonScanner) texts() texts { return texts{s.src, s.arena} }

// event scans one event, s.pos being at its first byte.
func (s *jsonScanner) event(e *event) bool {
	s.arena = s.arena[:0]
	if s.src[s.pos] == '{' {
		return s.object(e, 1, false)
	}
	var v value
	if !s.value(e, &v, 0) {
		return false
	}
	e.reject("an event must be an object, not %s", kindNames[v.kind])
	return true
}

// object scans the members of an event, or of its metadata (inner).
func (s *jsonScanner) object(e *event, depth int, inner bool) bool {
	object := e.keys.open()
	for first := true; ; first = false {
		from, key, end, ok := s.key(first)
		if !ok {
			return false
		}
		if end {
			return true
		}
		content := s.texts().of(key)
		f := fieldOther
		if inner {
			f = innerFieldOf(content)
		} else {
			f = fieldOf(content)
		}
		if f == fieldOther {
			e.unknown(content, inner)
			e.unique(object, key, s.texts())
		} else {
			e.see(f, content, inner)
		}
		if f == fieldMetadata && s.src[s.pos] == '{' {
			ok = s.object(e, depth+1, true)
		} else {
			ok = s.member(e, f, content, from, depth, inner)
		}
		if !ok {
			return false
		}
	}
}

// member scans a value and gives it to the event. from is where its key
// begins.
func (s *jsonScanner) member(e *event, f field, key []byte, from, depth int, inner bool) bool {
	var v value
	if !s.value(e, &v, depth) {
		return false
	}
	if e.set(f, key, &v) && e.bounded() {
		// A field that also counts outside of metadata is kept there.
		m := e.members(inner && f == fieldOther)
		*m = compact(*m, s.src[from:s.pos])
	}
	return true
}

// key scans what stands before a value, from behind the object's opening brace
// (first) or its last member: up to the value, or through the closing brace.
// from is where the key's quote is.
func (s *jsonScanner) key(first bool) (from int, key span, end, ok bool) {
	if first {
		s.pos++
	}
	c := s.next()
	switch {
	case c == '}':
		s.pos++
		return 0, span{}, true, true
	case first:
	case c == ',':
		s.pos++
		c = s.next()
	default:
		return 0, span{}, false, s.unexpected("want , or }")
	}
	if c != '"' {
		return 0, span{}, false, s.unexpected("want a key in double quotes")
	}
	from = s.pos
	t, ok := s.quoted()
	if !ok {
		return 0, span{}, false, false
	}
	if s.next() != ':' {
		return 0, span{}, false, s.unexpected("want : behind the key")
	}
	s.pos++
	if s.next() == 0 && s.pos >= len(s.src) {
		return 0, span{}, false, s.unexpected("want a value")
	}
	return from, s.content(t), false, true
}

// content is where a string's text is: in the source, or unescaped in the
// arena.
func (s *jsonScanner) content(t text) span {
	if !t.escaped {
		return span{start: uint32(t.start), end: uint32(t.end)}
	}
	start := len(s.arena)
	s.arena = unescape(s.arena, s.src[t.start:t.end])
	return span{start: uint32(start), end: uint32(len(s.arena)), arena: true}
}

// value scans any value inside of depth objects and arrays.
func (s *jsonScanner) value(e *event, v *value, depth int) bool {
	from := s.pos
	switch c := s.src[from]; {
	case c == '"':
		t, ok := s.quoted()
		if !ok {
			return false
		}
		at := s.content(t)
		v.kind, v.text = kindText, s.texts().of(at)
		v.control = t.control || t.escaped && hasControl(v.text)
		return true
	case c == '-' || c-'0' <= 9:
		return s.number(v)
	case c == '{' || c == '[':
		v.kind = kindObject
		if c == '[' {
			v.kind = kindArray
		}
		return s.skip(e, depth)
	case c == 't':
		v.kind = kindBool
		return s.word(v, "true")
	case c == 'f':
		v.kind = kindBool
		return s.word(v, "false")
	case c == 'n':
		v.kind = kindNull
		return s.word(v, "null")
	}
	return s.unexpected("want a value")
}

func (s *jsonScanner) word(v *value, word string) bool {
	end := s.pos + len(word)
	if end > len(s.src) || string(s.src[s.pos:end]) != word {
		return s.fail(s.pos, "want "+word)
	}
	v.text = s.src[s.pos:end]
	s.pos = end
	return true
}

// number scans a number and tells integers from others.
func (s *jsonScanner) number(v *value) bool {
	src, pos := s.src, s.pos
	v.kind = kindInteger
	if src[pos] == '-' {
		pos++
	}
	whole := digits(src[pos:])
	switch {
	case whole == 0:
		return s.fail(pos, "want a digit")
	case whole > 1 && src[pos] == '0':
		return s.fail(pos, "a number has no leading zeros")
	}
	pos += whole
	if pos < len(src) && src[pos] == '.' {
		v.kind = kindNumber
		n := digits(src[pos+1:])
		if n == 0 {
			return s.fail(pos+1, "want a digit behind the point")
		}
		pos += 1 + n
	}
	if pos < len(src) && src[pos]|0x20 == 'e' {
		v.kind = kindNumber
		pos++
		if pos < len(src) && (src[pos] == '+' || src[pos] == '-') {
			pos++
		}
		n := digits(src[pos:])
		if n == 0 {
			return s.fail(pos, "want a digit in the exponent")
		}
		pos += n
	}
	v.text = src[s.pos:pos]
	s.pos = pos
	return true
}

// digits counts the digits at the start of src.
func digits(src []byte) int {
	for i, c := range src {
		if c-'0' > 9 {
			return i
		}
	}
	return len(src)
}

// skip checks an object or array that is not looked into, down to MaxDepth.
func (s *jsonScanner) skip(e *event, depth int) bool {
	if depth++; depth > MaxDepth {
		return s.fail(s.pos, "nested deeper than 32 levels")
	}
	if s.src[s.pos] == '[' {
		return s.skipArray(e, depth)
	}
	object := e.keys.open()
	for first := true; ; first = false {
		_, key, end, ok := s.key(first)
		if !ok {
			return false
		}
		if end {
			return true
		}
		e.unique(object, key, s.texts())
		if !s.skipValue(e, depth) {
			return false
		}
	}
}

func (s *jsonScanner) skipArray(e *event, depth int) bool {
	s.pos++
	if s.next() == ']' {
		s.pos++
		return true
	}
	for {
		if s.pos >= len(s.src) {
			return s.unexpected("want a value")
		}
		if !s.skipValue(e, depth) {
			return false
		}
		switch s.next() {
		case ',':
			s.pos++
			s.next()
		case ']':
			s.pos++
			return true
		default:
			return s.unexpected("want , or ]")
		}
	}
}

func (s *jsonScanner) skipValue(e *event, depth int) bool {
	if s.src[s.pos] == '"' {
		_, ok := s.quoted() // no need for its content
		return ok
	}
	var v value
	return s.value(e, &v, depth)
}

// unexpected fails at s.pos, and says so if that is the end.
func (s *jsonScanner) unexpected(want string) bool {
	if s.pos >= len(s.src) {
		return s.fail(len(s.src), "ends too early: "+want)
	}
	return s.fail(s.pos, want)
}

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
