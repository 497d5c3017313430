package decode

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/dchest/siphash"

	"github.com/crestdb/crest/messages"
)

// set takes a field's value. keep tells the scanner to put the member as it is
// into extra.
func (e *event) set(f field, v value) (keep bool) {
	switch f {
	case fieldTopic:
		e.record.Topic = v.text
		if !v.isText(1, messages.MaxTopicBytes) {
			e.refuseText(v, 1, messages.MaxTopicBytes)
		}
	case fieldCategory:
		e.record.Category = v.text
		if !v.isText(0, messages.MaxNameBytes) {
			e.record.Category = e.noText(v, 0, messages.MaxNameBytes)
		}
	case fieldRegion:
		e.record.Region = v.text
		if !v.isText(0, messages.MaxNameBytes) {
			e.record.Region = e.noText(v, 0, messages.MaxNameBytes)
		}
	case fieldID:
		e.record.ID = v.text
		if !v.isText(1, messages.MaxIDBytes) {
			e.record.ID = e.noText(v, 1, messages.MaxIDBytes)
		}
	case fieldTime:
		e.setTime(v)
	case fieldUser:
		e.setUser(v)
	case fieldCount:
		e.setCount(v)
	case fieldLang, fieldSource, fieldDevice:
		return e.keepText(v)
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

// isText tells whether a value is what names and ids must be.
func (v value) isText(least, most int) bool {
	return v.kind == kindText && !v.control && len(v.text) >= least && len(v.text) <= most
}

// noText is for an optional field that isText does not hold for: it may be
// null.
func (e *event) noText(v value, least, most int) []byte {
	if v.kind != kindNull {
		e.refuseText(v, least, most)
	}
	return nil
}

// refuseText says why isText does not hold.
func (e *event) refuseText(v value, least, most int) {
	switch {
	case v.kind != kindText:
		e.refuseKind(v, "a string")
	case len(v.text) < least:
		e.reject("%s: empty; want %d to %d bytes", e.key, least, most)
	case len(v.text) > most:
		e.reject("%s: %s has %d bytes; at most %d are allowed", e.key, e.describe(v), len(v.text), most)
	default:
		e.reject("%s: %s has control characters", e.key, e.describe(v))
	}
}

func (e *event) refuseKind(v value, want string) {
	e.reject("%s: %s; want %s", e.key, e.describe(v), want)
}

func (e *event) setUser(v value) {
	switch {
	case v.kind == kindNull:
		return
	case v.kind == kindUint:
		e.digits = strconv.AppendUint(e.digits[:0], e.number, 10)
		v.text = e.digits
	case v.kind != kindText && v.kind != kindInteger:
		e.refuseKind(v, "a string or an integer")
		return
	case v.control || len(v.text) > messages.MaxUserBytes:
		v.kind = kindText // the digits of an integer are as good
		e.refuseText(v, 0, messages.MaxUserBytes)
		return
	case len(v.text) == 0:
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

func (e *event) setCount(v value) {
	if v.kind == kindNull {
		return
	}
	n, ok := e.integer(v)
	if !ok || n < 1 || n > messages.MaxCount {
		e.reject("%s: %s; want an integer from 1 to %d", e.key, e.describe(v), messages.MaxCount)
		return
	}
	e.record.Count = n
}

func (e *event) setTime(v value) {
	var t messages.Micros
	ok := false
	switch v.kind {
	case kindNull:
		return
	case kindText:
		t, ok = momentOfText(v.text)
	case kindUint:
		t, ok = momentOfInteger(e.number)
	case kindInteger, kindNumber:
		t, ok = momentOfNumber(v.text)
	case kindMoment:
		t, ok = messages.Micros(e.number), true
	case kindBefore1970:
		t, ok = -1, true
	}
	switch {
	case !ok:
		e.reject("%s: %s; want RFC 3339 (2006-01-02T15:04:05Z) or a Unix time from 0 to below 10^17: seconds below 10^11, milliseconds below 10^14, microseconds", e.key, e.describe(v))
	case t < 0:
		e.reject("%s: %s lies before 1970", e.key, e.describe(v))
	case t > e.latest:
		e.reject("%s: %s lies %s ahead of the clock; at most %v is allowed", e.key, e.describe(v), ahead(t-e.stamp), (e.latest - e.stamp).Duration())
	default:
		e.record.Time, e.record.HasTime = t, true
	}
}

// ahead is a length of time in words; time.Duration ends at 292 years.
func ahead(m messages.Micros) string {
	if m > 1000*messages.Day {
		return fmt.Sprintf("%d days", m/messages.Day)
	}
	return m.Duration().Round(time.Millisecond).String()
}

// keepText is for fields that are strings but only kept.
func (e *event) keepText(v value) bool {
	if v.kind != kindText && v.kind != kindNull {
		e.refuseKind(v, "a string")
	}
	return v.kind == kindText && len(v.text) > 0
}

// keepWatch takes a watch time in seconds; what is none is kept as it is.
func (e *event) keepWatch(v value) bool {
	millis, ok := uint64(0), false
	switch seconds, whole := e.integer(v); {
	case whole:
		millis, ok = seconds*1000, seconds < 1e15
	case v.kind == kindInteger || v.kind == kindNumber:
		d := parseDecimal(v.text)
		millis, ok = d.scaled(3)
		ok = ok && !d.negative
	case v.kind == kindNull:
		return false
	}
	if ok {
		e.record.WatchMillis, e.record.HasWatch = millis, true
	}
	return !ok
}

func (e *event) keepCompleted(v value) bool {
	if v.kind != kindBool {
		return v.kind != kindNull
	}
	e.record.Completed = messages.False
	if v.text[0] == 't' {
		e.record.Completed = messages.True
	}
	return false
}
