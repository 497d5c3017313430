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
	kindNumber  // any other number
	kindMoment  // msgpack's timestamp
	kindObject
	kindArray
	kindBytes // msgpack's bin that is no UTF-8, and its extensions
	kindNoNumber
)

var kindNames = [...]string{"null", "a boolean", "a string", "an integer", "a number", "a timestamp", "an object", "an array", "binary data", "not a finite number"}

// value is one value as a scanner hands it over.
type value struct {
	kind    kind
	control bool // a string with control characters (C0, DEL, C1)
	// text is a string's content, a number's JSON literal, "true" or "false", and
	// of a kindMoment its microseconds.
	text []byte
}

// moment is the moment of a kindMoment.
func (v value) moment() messages.Micros {
	d := parseDecimal(v.text)
	if d.negative {
		return -1 // before 1970; how long does not matter
	}
	n, _ := d.scaled(0)
	return messages.Micros(n)
}

// describe is a value as a reason names it.
func describe(v value) string {
	switch v.kind {
	case kindText:
		return strconv.QuoteToGraphic(shorten(v.text))
	case kindInteger, kindNumber, kindBool:
		return shorten(v.text)
	case kindMoment:
		return v.moment().Time().Format(time.RFC3339Nano)
	}
	return kindNames[v.kind]
}
