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
	b.events, b.batch, b.around = 0, false, nil
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
	b.lines(bytes.TrimPrefix(body, byteOrderMark), 1)
	b.release()
	return b.nothing()
}

// lines takes an event per line, from the line of that number on.
func (b *bodies) lines(body []byte, line int) {
	s := &b.json
	for ; len(body) > 0; line++ {
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
	end, err := b.jsonValue(bytes.TrimPrefix(body, byteOrderMark))
	if err == nil {
		err = b.jsonEnd(end)
	}
	b.release()
	return err
}

// jsonValue takes the event or the array of events that a text begins with, and
// returns the place behind it.
func (b *bodies) jsonValue(text []byte) (end int, err error) {
	s := &b.json
	s.src = text
	switch pos := s.space(0); {
	case pos == len(text):
		return 0, ErrEmpty
	case s.is(pos, '['):
		end = b.jsonArray(pos)
	case s.is(pos, '{'):
		end = b.jsonEvent(pos)
	default:
		end = s.fail(pos, "want an event or an array of events")
	}
	if end < 0 {
		return 0, textError(text, s.failed, s.reason)
	}
	return end, nil
}

// jsonEnd refuses a text that goes on behind its value.
func (b *bodies) jsonEnd(end int) error {
	s := &b.json
	if s.nothingBehind(end, "want one value in the body; several lines of events are application/x-ndjson") < 0 {
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
	b.event.release()
}

// nothing is ErrEmpty for a body without events.
func (b *bodies) nothing() error {
	if b.events == 0 {
		return ErrEmpty
	}
	return nil
}
