package decode

import (
	"bytes"

	"github.com/crestdb/crest/messages"
)

// byteOrderMark may stand before a text; it is skipped.
var byteOrderMark = []byte("\xef\xbb\xbf")

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
		if n := len(s.src) - 1; n >= 0 && s.src[n] == '\r' {
			s.src = s.src[:n]
		}
		if pos := s.space(0); pos < len(s.src) {
			b.line(pos, line)
		}
	}
	b.release()
	return b.nothing()
}

// line takes the event in s.src.
func (b *Builder) line(pos, line int) {
	s := &b.json
	b.begin()
	if pos = s.event(&b.event, pos); pos >= 0 {
		pos = s.nothingBehind(pos, "want one event per line")
	}
	if pos < 0 {
		at := textError(s.src, s.failed, s.reason)
		b.reject(Rejection{Line: line, Column: at.Column, Reason: at.Reason})
		return
	}
	b.finish(line)
}

// JSON takes a body that is one event, or an array of events. Anything wrong
// with its syntax is a *SyntaxError, and nothing of the body is taken.
func (b *Builder) JSON(body []byte) error {
	s := &b.json
	s.src = bytes.TrimPrefix(body, byteOrderMark)
	defer b.release()
	pos := s.space(0)
	switch {
	case pos == len(s.src):
		return ErrEmpty
	case s.is(pos, '['):
		pos = b.jsonArray(pos)
	case s.is(pos, '{'):
		pos = b.jsonEvent(pos)
	default:
		pos = s.fail(pos, "want an event or an array of events")
	}
	if pos >= 0 {
		pos = s.nothingBehind(pos, "want one value in the body; several lines of events are application/x-ndjson")
	}
	if pos < 0 {
		return textError(s.src, s.failed, s.reason)
	}
	return b.nothing()
}

func (b *Builder) jsonEvent(pos int) int {
	b.begin()
	if pos = b.json.event(&b.event, pos); pos >= 0 {
		b.finish(0)
	}
	return pos
}

func (b *Builder) jsonArray(pos int) int {
	b.batch = true
	s := &b.json
	pos = s.space(pos + 1)
	if s.is(pos, ']') {
		return pos + 1
	}
	for {
		if pos = b.jsonEvent(pos); pos < 0 {
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

// nothingBehind refuses anything but white space from pos on.
func (s *jsonScanner) nothingBehind(pos int, want string) int {
	if pos = s.space(pos); pos < len(s.src) {
		return s.fail(pos, want)
	}
	return pos
}

// release lets go of the body.
func (b *Builder) release() {
	b.json.src, b.pack.src = nil, nil
	b.event.key, b.event.record = nil, messages.Record{}
}

// nothing is ErrEmpty for a body without events.
func (b *Builder) nothing() error {
	if b.accepted+b.rejected == 0 {
		return ErrEmpty
	}
	return nil
}
