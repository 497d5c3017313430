package decode

import "bytes"

// byteOrderMark may stand before a text; it is skipped.
var byteOrderMark = []byte("\xef\xbb\xbf")

var carriageReturn = []byte{'\r'}

// NDJSON takes a body of one event per line. A broken line is rejected with
// its place and does not harm the others. Blank lines are no events, but they
// count as lines. The only error is ErrEmpty.
func (b *Builder) NDJSON(body []byte) error {
	b.batch = true
	body = bytes.TrimPrefix(body, byteOrderMark)
	s := &b.json
	for line := 1; len(body) > 0; line++ {
		n := bytes.IndexByte(body, '\n')
		if n < 0 {
			s.src, body = body, nil
		} else {
			s.src, body = body[:n], body[n+1:]
		}
		s.src = bytes.TrimSuffix(s.src, carriageReturn)
		s.pos = 0
		s.next()
		if s.pos < len(s.src) {
			b.line(line)
		}
	}
	s.src = nil
	return b.nothing()
}

// line takes the event in s.src.
func (b *Builder) line(line int) {
	s := &b.json
	b.begin()
	if s.event(&b.event) && s.end("one event per line") {
		b.finish(line)
		return
	}
	at := textError(s.src, s.failed, s.reason)
	b.reject(Rejection{Line: line, Column: at.Column, Reason: at.Reason})
}

// JSON takes a body that is one event, or an array of events. Anything wrong
// with its syntax is a *SyntaxError, and nothing of the body is taken.
func (b *Builder) JSON(body []byte) error {
	s := &b.json
	s.src, s.pos = bytes.TrimPrefix(body, byteOrderMark), 0
	defer func() { s.src = nil }()
	if !b.jsonValue() {
		return textError(s.src, s.failed, s.reason)
	}
	return b.nothing()
}

func (b *Builder) jsonValue() bool {
	s := &b.json
	switch s.next() {
	case '[':
		b.batch = true
		return b.jsonArray() && s.end("one value in the body; several lines of events are application/x-ndjson")
	case '{':
		b.begin()
		if !s.event(&b.event) || !s.end("one value in the body; several lines of events are application/x-ndjson") {
			return false
		}
		b.finish(0)
		return true
	}
	return s.pos >= len(s.src) || s.unexpected("want an event or an array of events")
}

func (b *Builder) jsonArray() bool {
	s := &b.json
	s.pos++
	if s.next() == ']' {
		s.pos++
		return true
	}
	for {
		if s.pos >= len(s.src) {
			return s.unexpected("want an event")
		}
		b.begin()
		if !s.event(&b.event) {
			return false
		}
		b.finish(0)
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

// end refuses anything but white space at s.pos.
func (s *jsonScanner) end(want string) bool {
	s.next()
	return s.pos >= len(s.src) || s.fail(s.pos, "want "+want)
}

// nothing is ErrEmpty for a body without events.
func (b *Builder) nothing() error {
	if b.accepted+b.rejected == 0 {
		return ErrEmpty
	}
	return nil
}
