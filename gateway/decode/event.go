package decode

import (
	"fmt"
	"strconv"

	"github.com/crestdb/crest/messages"
)

// event gathers the fields of one event under the rules that hold in every
// format.
type event struct {
	record   messages.Record
	user     [messages.UserHashLength]byte
	number   uint64 // of the value at hand, if its kind says so
	digits   []byte // of a user id that came as a number
	literal  []byte // of a number that came as protobuf
	key      []byte // of the member at hand
	seen     uint32 // fields, by bit
	rejected bool
	reason   string
	keys     keySet

	// extra are the members kept as they are, inner those of "metadata"; both
	// JSON, comma-separated.
	extra, inner []byte

	// version and data say that it has keys of a CloudEvent's envelope; around is
	// the one it came in, id the one made from that.
	version, data bool
	around        *envelope
	id            []byte

	stamp, latest messages.Micros
	explain       bool // somebody will read the reason
	userKey       [2]uint64
	keepUsers     bool
}

func (e *event) reset(stamp, latest messages.Micros, explain bool) {
	e.record = messages.Record{}
	e.record.Count = 1
	e.seen, e.rejected, e.reason = 0, false, ""
	e.version, e.data, e.around = false, false, nil
	e.extra, e.inner = e.extra[:0], e.inner[:0]
	e.stamp, e.latest, e.explain = stamp, latest, explain
	e.keys.reset()
}

// release lets go of the text of the last event.
func (e *event) release() {
	e.key, e.record = nil, messages.Record{}
	e.keys.release()
}

// reject refuses the event; the first reason stays.
func (e *event) reject(format string, args ...any) {
	if !e.rejected && e.explain {
		e.reason = fmt.Sprintf(format, args...)
	}
	e.rejected = true
}

// field says what a key means. A key that was there before, under this or
// another name, refuses the event; so does another spelling of one that means
// something. object is what keys.open returned for the event, or for its
// metadata (inner).
func (e *event) field(object uint32, key []byte, inner bool) field {
	e.key = key
	f := fieldOther
	if inner {
		f = innerFieldOf(key)
	} else {
		f = fieldOf(key)
	}
	switch {
	case f == fieldOther:
		if known := variantOf(key, inner); known != nil {
			e.reject("%s: the key is %s, in this case", strconv.QuoteToGraphic(shorten(key)), known)
		}
		switch string(key) {
		case "specversion":
			e.version = true
		case "data", "data_base64":
			e.data = true
		}
		e.uniqueText(object, key)
	case e.seen&(1<<f) != 0 && inner:
		e.reject("metadata.%s: given twice", key)
	default:
		e.known(f, key)
	}
	e.seen |= 1 << f
	return f
}

// known is field for a key of the event itself whose field is known.
func (e *event) known(f field, key []byte) {
	e.key = key
	if e.seen&(1<<f) != 0 {
		e.reject("%s: given twice, under this or another name", key)
	}
	e.seen |= 1 << f
}

// uniqueText is unique for a key whose text stays until the event is complete.
func (e *event) uniqueText(object uint32, key []byte) {
	switch {
	case e.keys.used >= MaxKeys:
		e.reject("more than %d keys", MaxKeys)
	case !e.keys.addText(object, key):
		e.reject("%s: given twice", named(key))
	}
}

// unique refuses an event with a key that its object had before.
func (e *event) unique(object uint32, key []byte) {
	switch {
	case e.keys.used >= MaxKeys:
		e.reject("more than %d keys", MaxKeys)
	case !e.keys.add(object, key):
		e.reject("%s: given twice", named(key))
	}
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
