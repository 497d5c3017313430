package decode

import (
	"bytes"

	"github.com/crestdb/crest/messages"
)

// bodies takes bodies apart, in all their forms, and hands over each event as
// soon as it is whole.
type bodies struct {
	to            taker
	stamp, latest messages.Micros // arrival, and the latest event time accepted

	events int  // handed over since open, good or not
	batch  bool // the body is a batch by its form, even of one event

	// more is set for a body that JSON refused for lines behind its value.
	more bool

	event event
	json  jsonScanner
	pack  packScanner

	envelopes envelopes
	around    *envelope   // of all events of the body, if it has one
	envelope  envelope    // of the event at hand
	data      []byte      // out of its data_base64
	inner     jsonScanner // of that
}

// taker is whoever wants the events of a body.
type taker interface {
	// take gets a good event; the record is valid during the call.
	take(r *messages.Record)
	// reject gets what is to be said of any other.
	reject(r Rejection)
	// explains tells whether the reason of the next rejection is of use.
	explains() bool
}

func newBodies(to taker, userKey [2]uint64, keepUsers bool) bodies {
	b := bodies{to: to}
	b.event.userKey, b.event.keepUsers = userKey, keepUsers
	b.event.keys = newKeySet()
	return b
}

// open forgets the last body.
func (b *bodies) open(stamp, latest messages.Micros) {
	b.stamp, b.latest = stamp, latest
	b.events, b.batch, b.more, b.around = 0, false, false, nil
}

// capacity is the memory held on to, in bytes.
func (b *bodies) capacity() int {
	return cap(b.event.extra) + cap(b.event.inner) + cap(b.json.arena) + cap(b.pack.arena) + cap(b.inner.arena) + cap(b.data) + b.event.keys.bytes()
}

// begin readies the event for the next one of the body.
func (b *bodies) begin() {
	b.event.reset(b.stamp, b.latest, b.to.explains())
	b.event.around = b.around
}

// finish hands over the event just scanned.
func (b *bodies) finish(line int) {
	e := &b.event
	e.complete()
	if e.around != nil && !e.rejected {
		place := 0
		if e.around == b.around {
			place = b.events
		}
		e.around.fill(e, place)
	}
	if e.rejected {
		b.refuse(Rejection{Line: line, Reason: e.reason})
		return
	}
	b.events++
	b.to.take(&e.record)
}

// refuse hands over what is to be said of an event that is not good.
func (b *bodies) refuse(r Rejection) {
	r.Index = b.events
	b.events++
	b.to.reject(r)
}

// byteOrderMark may stand before a text; it is skipped.
var byteOrderMark = []byte("\xef\xbb\xbf")

// NDJSON takes a body of one event per line. A broken line is rejected with
// its place and does not harm the others. Blank lines are no events, but they
// count as lines. The only error is ErrEmpty.
func (b *bodies) NDJSON(body []byte) error {
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
func (b *bodies) line(pos, line int) {
	s := &b.json
	if pos = b.jsonObject(pos); pos >= 0 {
		pos = s.nothingBehind(pos, "want one event per line")
	}
	if pos < 0 {
		at := textError(s.src, s.failed, s.reason)
		b.refuse(Rejection{Line: line, Column: at.Column, Reason: at.Reason})
		return
	}
	b.finish(line)
}

// JSON takes a body that is one event, or an array of events. Anything wrong
// with its syntax is a *SyntaxError, and nothing of the body is taken.
func (b *bodies) JSON(body []byte) error {
	err := b.jsonBody(bytes.TrimPrefix(body, byteOrderMark))
	b.release()
	return err
}

func (b *bodies) jsonBody(body []byte) error {
	s := &b.json
	s.src = body
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
	if end := pos; pos >= 0 {
		pos = s.nothingBehind(end, "want one value in the body; several lines of events are application/x-ndjson")
		b.more = pos < 0 && bytes.IndexByte(s.src[end:s.failed], '\n') >= 0
	}
	if pos < 0 {
		return textError(s.src, s.failed, s.reason)
	}
	return b.nothing()
}

func (b *bodies) jsonEvent(pos int) int {
	if pos = b.jsonObject(pos); pos >= 0 {
		b.finish(0)
	}
	return pos
}

func (b *bodies) jsonArray(pos int) int {
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
func (b *bodies) release() {
	b.json.src, b.pack.src = nil, nil
	b.event.key, b.event.record = nil, messages.Record{}
	b.event.keys.release()
}

// nothing is ErrEmpty for a body without events.
func (b *bodies) nothing() error {
	if b.events == 0 {
		return ErrEmpty
	}
	return nil
}
