package decode

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/dchest/siphash"

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
	kind kind
	// text is a string's content, a number's JSON literal, "true" or "false";
	// for a reason also the source of anything else.
	text []byte
	// control: the string has control characters (C0, DEL, C1).
	control bool
	moment  messages.Micros
}

// event gathers the fields of one event under the rules that hold in every
// format.
type event struct {
	record   messages.Record
	user     [messages.UserHashLength]byte
	seen     uint32 // fields, by bit
	rejected bool
	reason   string
	keys     keySet

	// extra are the members kept as they are, inner those of "metadata"; both
	// JSON, comma-separated.
	extra, inner []byte

	stamp, latest messages.Micros
	explain       bool // somebody will read the reason
	userKey       [2]uint64
	keepUsers     bool
}

func (e *event) reset(stamp, latest messages.Micros, explain bool) {
	e.record = messages.Record{Count: 1}
	e.seen, e.rejected, e.reason = 0, false, ""
	e.extra, e.inner = e.extra[:0], e.inner[:0]
	e.stamp, e.latest, e.explain = stamp, latest, explain
	e.keys.reset()
}

// reject refuses the event; the first reason stays.
func (e *event) reject(format string, args ...any) {
	if !e.rejected && e.explain {
		e.reason = fmt.Sprintf(format, args...)
	}
	e.rejected = true
}

// see refuses a field that was there before, under the same or another name.
func (e *event) see(f field, key []byte, inner bool) {
	bit := uint32(1) << f
	if e.seen&bit == 0 {
		e.seen |= bit
		return
	}
	if inner {
		e.reject("metadata.%s: given twice", key)
		return
	}
	e.reject("%s: given twice, under this or another name", shorten(key))
}

// unknown looks at a key that means nothing: as part of the event or of its
// metadata it must not be another spelling of one that does.
func (e *event) unknown(key []byte, inner bool) {
	if known := variantOf(key, inner); known != nil {
		e.reject("%s: the key is %s, in this case", strconv.QuoteToGraphic(shorten(key)), known)
	}
}

// unique refuses an event with a key that its object had before.
func (e *event) unique(object uint32, key span, text texts) {
	switch {
	case e.keys.used >= MaxKeys:
		e.reject("more than %d keys", MaxKeys)
	case !e.keys.add(object, key, text):
		e.reject("%s: given twice", shorten(text.of(key)))
	}
}

// set takes a field's value. keep tells the scanner to put the member as it is
// into extra.
func (e *event) set(f field, key []byte, v *value) (keep bool) {
	switch f {
	case fieldTopic:
		e.setTopic(key, v)
	case fieldUser:
		e.setUser(key, v)
	case fieldTime:
		e.setTime(key, v)
	case fieldID:
		e.setID(key, v)
	case fieldCategory:
		e.record.Category = e.name(key, v)
	case fieldRegion:
		e.record.Region = e.name(key, v)
	case fieldCount:
		e.setCount(key, v)
	case fieldLang, fieldSource, fieldDevice:
		return e.keepText(key, v)
	case fieldWatch:
		return e.keepWatch(v)
	case fieldCompleted:
		return e.keepCompleted(v)
	case fieldMetadata: // of some other type than object
		return v.kind != kindNull
	default:
		return true
	}
	return false
}

func (e *event) setTopic(key []byte, v *value) {
	if e.isText(key, v, "a string of 1 to 512 bytes") && e.fits(key, v, 1, messages.MaxTopicBytes) {
		e.record.Topic = v.text
	}
}

func (e *event) setID(key []byte, v *value) {
	if v.kind == kindNull {
		return
	}
	if e.isText(key, v, "a string of 1 to 512 bytes") && e.fits(key, v, 1, messages.MaxIDBytes) {
		e.record.ID = v.text
	}
}

// name is a category or region: empty and null are none.
func (e *event) name(key []byte, v *value) []byte {
	if v.kind == kindNull || !e.isText(key, v, "a string") || !e.fits(key, v, 0, messages.MaxNameBytes) {
		return nil
	}
	return v.text
}

func (e *event) setUser(key []byte, v *value) {
	switch v.kind {
	case kindNull:
		return
	case kindInteger:
	default:
		if !e.isText(key, v, "a string or an integer") {
			return
		}
	}
	if !e.fits(key, v, 0, messages.MaxUserBytes) || len(v.text) == 0 {
		return
	}
	if e.keepUsers {
		e.record.User, e.record.UserPlain = v.text, true
		return
	}
	lo, hi := siphash.Hash128(e.userKey[0], e.userKey[1], v.text)
	binary.LittleEndian.PutUint64(e.user[:8], lo)
	binary.LittleEndian.PutUint64(e.user[8:], hi)
	e.record.User = e.user[:]
}

func (e *event) setCount(key []byte, v *value) {
	if v.kind == kindNull {
		return
	}
	n, ok := smallInteger(v.text)
	if v.kind != kindInteger || !ok || n < 1 || n > messages.MaxCount {
		e.reject("%s: %s; want an integer from 1 to %d", key, describe(v), messages.MaxCount)
		return
	}
	e.record.Count = n
}

func (e *event) setTime(key []byte, v *value) {
	var t messages.Micros
	ok := false
	switch v.kind {
	case kindNull:
		return
	case kindText:
		t, ok = momentOfText(v.text)
	case kindInteger, kindNumber:
		t, ok = momentOfNumber(v.text)
	case kindMoment:
		t, ok = v.moment, true
	}
	switch {
	case !ok:
		e.reject("%s: %s; want RFC 3339 (2006-01-02T15:04:05Z) or a Unix time from 0 to below 10^17: seconds below 10^11, milliseconds below 10^14, microseconds", key, describe(v))
	case t < 0:
		e.reject("%s: %s lies before 1970", key, describe(v))
	case t > e.latest:
		e.reject("%s: %s lies %v ahead of the clock; at most %v is allowed", key, describe(v),
			(t - e.stamp).Duration().Round(time.Millisecond), (e.latest - e.stamp).Duration())
	default:
		e.record.Time, e.record.HasTime = t, true
	}
}

// keepText is for fields that are strings but only kept.
func (e *event) keepText(key []byte, v *value) bool {
	return v.kind != kindNull && e.isText(key, v, "a string") && len(v.text) > 0
}

// keepWatch takes a watch time in seconds; what is none is kept as it is.
func (e *event) keepWatch(v *value) bool {
	if v.kind != kindInteger && v.kind != kindNumber {
		return v.kind != kindNull
	}
	d := parseDecimal(v.text)
	millis, ok := d.scaled(3)
	if d.negative || !ok {
		return true
	}
	e.record.WatchMillis, e.record.HasWatch = millis, true
	return false
}

func (e *event) keepCompleted(v *value) bool {
	if v.kind != kindBool {
		return v.kind != kindNull
	}
	e.record.Completed = messages.False
	if v.text[0] == 't' {
		e.record.Completed = messages.True
	}
	return false
}

func (e *event) isText(key []byte, v *value, want string) bool {
	if v.kind != kindText {
		e.reject("%s: %s; want %s", key, describe(v), want)
		return false
	}
	return true
}

// fits checks what all names and ids have in common.
func (e *event) fits(key []byte, v *value, least, most int) bool {
	switch {
	case len(v.text) < least:
		e.reject("%s: empty; want %d to %d bytes", key, least, most)
	case len(v.text) > most:
		e.reject("%s: %s has %d bytes; at most %d are allowed", key, describe(v), len(v.text), most)
	case v.control:
		e.reject("%s: %s has control characters", key, describe(v))
	default:
		return true
	}
	return false
}

// complete checks what can be known at the event's end only.
func (e *event) complete() {
	if e.seen&(1<<fieldTopic) == 0 {
		e.reject("topic: missing")
	}
	if len(e.inner) > 0 {
		m := e.members(false)
		*m = append(*m, `"metadata":{`...)
		*m = append(*m, e.inner...)
		*m = append(*m, '}')
		e.inner = e.inner[:0]
	}
	e.bounded()
	e.record.Extra = e.extra
}

// members is where the next kept member goes: behind a comma, in the event's
// or its metadata's.
func (e *event) members(inner bool) *[]byte {
	m := &e.extra
	if inner {
		m = &e.inner
	}
	if len(*m) > 0 {
		*m = append(*m, ',')
	}
	return m
}

// bounded tells whether it is worth keeping more; it refuses an event that
// wants too much kept.
func (e *event) bounded() bool {
	if e.rejected {
		return false
	}
	if len(e.extra)+len(e.inner) > MaxExtraBytes {
		e.reject("the keys that are only kept take more than %d bytes", MaxExtraBytes)
		return false
	}
	return true
}

// describe is a value as a reason names it.
func describe(v *value) string {
	switch v.kind {
	case kindText:
		return strconv.QuoteToGraphic(shorten(v.text))
	case kindInteger, kindNumber, kindBool:
		return shorten(v.text)
	case kindMoment:
		return v.moment.Time().Format(time.RFC3339Nano)
	}
	return kindNames[v.kind]
}
