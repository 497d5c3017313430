package decode

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrEmpty is returned for a body without a single event.
var ErrEmpty = errors.New("the body holds no event")

// SyntaxError says where a body is broken. Nothing of the body is taken.
type SyntaxError struct {
	Line, Column int // of JSON, from 1; the column counts characters
	Offset       int // in bytes, from 0
	Reason       string
}

func (e *SyntaxError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
	}
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
}

// textError is a SyntaxError at an offset of a text.
func textError(text []byte, offset int, reason string) *SyntaxError {
	before := text[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &SyntaxError{
		Line:   bytes.Count(before, []byte{'\n'}) + 1,
		Column: utf8.RuneCount(before[start:]) + 1,
		Offset: offset,
		Reason: reason,
	}
}

// named is a key as a reason names it.
func named(key []byte) string {
	if allPlain(key) {
		return shorten(key)
	}
	return strconv.QuoteToGraphic(shorten(key))
}

// shorten makes text fit into a reason.
func shorten(text []byte) string {
	const limit = 48
	if len(text) <= limit {
		return string(text)
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut]) + "…"
}
