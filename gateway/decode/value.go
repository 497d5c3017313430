package decode

import (
	"strconv"
	"time"

	"github.com/crestdb/crest/messages"
)

// kind is what a value is, in every format.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindText
	kindInteger // a literal of digits, with or without a minus
	kindUint    // the same without a literal: event.number
	kindNumber  // a literal of any other number
	kindMoment  // msgpack's timestamp: event.number microseconds
	kindBefore1970
	kindObject
	kindArray
	kindBytes // msgpack's bin that is no UTF-8, and its extensions
	kindNoNumber
)

var kindNames = [...]string{"null", "a boolean", "a string", "an integer", "an integer", "a number", "a timestamp", "a timestamp before 1970", "an object", "an array", "binary data", "not a finite number"}

// value is one value as a scanner hands it over. It has the four words that the
// compiler keeps in registers at most.
type value struct {
	kind    kind
	control bool // a string with control characters (C0, DEL, C1)
	// text is a string's content, a number's JSON literal, "true" or "false".
	text []byte
}

// integer is the value of an integer without a sign and not too long to be of
// any use.
func (e *event) integer(v value) (n uint64, ok bool) {
	switch v.kind {
	case kindUint:
		return e.number, true
	case kindInteger:
		return smallInteger(v.text)
	}
	return 0, false
}

// describe is a value as a reason names it.
func (e *event) describe(v value) string {
	switch v.kind {
	case kindText:
		return strconv.QuoteToGraphic(shorten(v.text))
	case kindInteger, kindNumber, kindBool:
		return shorten(v.text)
	case kindUint:
		return strconv.FormatUint(e.number, 10)
	case kindMoment:
		return messages.Micros(e.number).Time().Format(time.RFC3339Nano)
	}
	return kindNames[v.kind]
}
