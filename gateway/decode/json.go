package decode

import "fmt"

// jsonScanner reads JSON as RFC 8259 has it and no further, in one pass from
// source to event. Its methods take the place to read from and return the
// place behind what they read, or broken after a call of fail. (Places are
// handed on in registers: with a place kept in the struct, every step would
// wait for the store of the last one.)
type jsonScanner struct {
	src   []byte
	arena []byte // unescaped text of the current event

	failed int // where the source is broken
	reason string
}

const broken = -1

func (s *jsonScanner) fail(at int, reason string) int {
	s.failed, s.reason = at, reason
	return broken
}

// unexpected fails at pos, and says so if that is the end.
func (s *jsonScanner) unexpected(pos int, want string) int {
	if pos >= len(s.src) {
		return s.fail(len(s.src), "ends too early: "+want)
	}
	return s.fail(pos, want)
}

// space skips white space.
func (s *jsonScanner) space(pos int) int {
	if pos < len(s.src) && s.src[pos] > ' ' {
		return pos
	}
	return s.spaces(pos)
}

func (s *jsonScanner) spaces(pos int) int {
	for ; pos < len(s.src); pos++ {
		if c := s.src[pos]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			break
		}
	}
	return pos
}

// is tells whether a byte is at pos.
func (s *jsonScanner) is(pos int, c byte) bool { return pos < len(s.src) && s.src[pos] == c }

// event scans one event from its first byte at pos.
func (s *jsonScanner) event(e *event, pos int) int {
	s.arena = s.arena[:0]
	if s.is(pos, '{') {
		return s.object(e, pos, 1, false)
	}
	v, pos := s.value(e, pos, 0)
	e.reject("an event must be an object, not %s", kindNames[v.kind])
	return pos
}

// object scans the members of an event, or of its metadata (inner), from the
// opening brace.
func (s *jsonScanner) object(e *event, pos, depth int, inner bool) int {
	object := e.keys.open()
	pos = s.space(pos + 1)
	if s.is(pos, '}') {
		return pos + 1
	}
	for {
		f, at := fieldOther, 0
		if !inner {
			f, at = usualKey(s.src, pos)
		}
		if at > 0 {
			e.known(f, s.src[pos+1:at-2])
			at = s.space(at)
		} else {
			var t text
			if t, at = s.key(pos); at < 0 {
				return broken
			}
			f = e.field(object, s.content(t), inner)
		}
		var end int
		if f == fieldMetadata && s.is(at, '{') {
			end = s.object(e, at, depth+1, true)
		} else {
			var v value
			if v, end = s.value(e, at, depth); end > 0 && e.set(f, v) {
				s.keep(e, f, pos, end, inner)
			}
		}
		if end < 0 {
			return broken
		}
		end = s.space(end)
		if s.is(end, '}') {
			return end + 1
		}
		if !s.is(end, ',') {
			return s.unexpected(end, "want , or }")
		}
		pos = s.space(end + 1)
	}
}

// keep puts the member between from and to into what is only kept.
func (s *jsonScanner) keep(e *event, f field, from, to int, inner bool) {
	if e.bounded() {
		// A field that also counts outside of metadata is kept there.
		m := e.members(inner && f == fieldOther)
		*m = compact(*m, s.src[from:to])
	}
}

// key scans a key, its colon and the space around that, up to the value.
func (s *jsonScanner) key(pos int) (t text, end int) {
	if !s.is(pos, '"') {
		return t, s.unexpected(pos, "want a key in double quotes")
	}
	if t, pos = s.quoted(pos); pos < 0 {
		return t, broken
	}
	if pos = s.space(pos); !s.is(pos, ':') {
		return t, s.unexpected(pos, "want : behind the key")
	}
	return t, s.space(pos + 1)
}

// content is a string's text: a piece of the source, or of the arena if there
// are escapes to be undone.
func (s *jsonScanner) content(t text) []byte {
	if !t.escaped {
		return t.raw
	}
	start := len(s.arena)
	s.arena = unescape(s.arena, t.raw)
	return s.arena[start:]
}

// value scans any value inside of depth objects and arrays.
func (s *jsonScanner) value(e *event, pos, depth int) (v value, end int) {
	if pos >= len(s.src) {
		return v, s.unexpected(pos, "want a value")
	}
	switch c := s.src[pos]; {
	case c == '"':
		t, end := s.quoted(pos)
		if end < 0 {
			return v, broken
		}
		if !t.escaped {
			return value{kind: kindText, control: t.control, text: t.raw}, end
		}
		text := s.content(t)
		return value{kind: kindText, control: t.control || hasControl(text), text: text}, end
	case c == '-' || c-'0' <= 9:
		return s.number(pos)
	case c == '{':
		return value{kind: kindObject}, s.skipObject(e, pos, depth)
	case c == '[':
		return value{kind: kindArray}, s.skipArray(e, pos, depth)
	case c == 't':
		return s.word(pos, kindBool, "true")
	case c == 'f':
		return s.word(pos, kindBool, "false")
	case c == 'n':
		return s.word(pos, kindNull, "null")
	}
	return v, s.fail(pos, "want a value")
}

func (s *jsonScanner) word(pos int, k kind, word string) (v value, end int) {
	end = pos + len(word)
	if end > len(s.src) || string(s.src[pos:end]) != word {
		return v, s.fail(pos, "want "+word)
	}
	return value{kind: k, text: s.src[pos:end]}, end
}

// number scans a number and tells integers from others.
func (s *jsonScanner) number(pos int) (v value, end int) {
	src := s.src
	v.kind = kindInteger
	end = pos
	if src[end] == '-' {
		end++
	}
	whole := digits(src, end) - end
	switch {
	case whole == 0:
		return v, s.unexpected(end, "want a digit")
	case whole > 1 && src[end] == '0':
		return v, s.fail(end, "a number has no leading zeros")
	}
	end += whole
	if s.is(end, '.') {
		v.kind = kindNumber
		point := end
		if end = digits(src, end+1); end == point+1 {
			return v, s.unexpected(end, "want a digit behind the point")
		}
	}
	if s.is(end, 'e') || s.is(end, 'E') {
		v.kind = kindNumber
		end++
		if s.is(end, '+') || s.is(end, '-') {
			end++
		}
		exponent := end
		if end = digits(src, end); end == exponent {
			return v, s.unexpected(end, "want a digit in the exponent")
		}
	}
	v.text = src[pos:end]
	return v, end
}

// digits skips digits.
func digits(src []byte, pos int) int {
	for pos < len(src) && src[pos]-'0' <= 9 {
		pos++
	}
	return pos
}

var tooDeep = fmt.Sprintf("nested deeper than %d levels", MaxDepth)

// skipObject checks an object that is not looked into.
func (s *jsonScanner) skipObject(e *event, pos, depth int) int {
	if depth++; depth > MaxDepth {
		return s.fail(pos, tooDeep)
	}
	object := e.keys.open()
	pos = s.space(pos + 1)
	if s.is(pos, '}') {
		return pos + 1
	}
	kept := len(s.arena)
	for {
		t, end := s.key(pos)
		if end < 0 {
			return broken
		}
		e.unique(object, s.content(t))
		s.arena = s.arena[:kept]
		if end = s.skip(e, end, depth); end < 0 {
			return broken
		}
		end = s.space(end)
		if s.is(end, '}') {
			return end + 1
		}
		if !s.is(end, ',') {
			return s.unexpected(end, "want , or }")
		}
		pos = s.space(end + 1)
	}
}

// skipArray checks an array that is not looked into.
func (s *jsonScanner) skipArray(e *event, pos, depth int) int {
	if depth++; depth > MaxDepth {
		return s.fail(pos, tooDeep)
	}
	pos = s.space(pos + 1)
	if s.is(pos, ']') {
		return pos + 1
	}
	for {
		if pos = s.skip(e, pos, depth); pos < 0 {
			return broken
		}
		pos = s.space(pos)
		if s.is(pos, ']') {
			return pos + 1
		}
		if !s.is(pos, ',') {
			return s.unexpected(pos, "want , or ]")
		}
		pos = s.space(pos + 1)
	}
}

// skip checks a value that is not looked into.
func (s *jsonScanner) skip(e *event, pos, depth int) int {
	if s.is(pos, '"') {
		_, end := s.quoted(pos) // no need for its content
		return end
	}
	_, end := s.value(e, pos, depth)
	return end
}
