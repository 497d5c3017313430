package decode

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of messages/event.proto that are not those of a JSON key.
const (
	protoEvents     = 3 // of EventBatch; no Event has it
	protoAttributes = 18
)

// protoField is what a field of an Event is.
type protoField struct {
	name  []byte
	field field
	wire  protowire.Type
}

// protoFields are the fields of an Event by their numbers.
var protoFields = [...]protoField{
	2:  {[]byte("topic"), fieldTopic, protowire.BytesType},
	5:  {[]byte("video_id"), fieldTopic, protowire.BytesType},
	6:  {[]byte("user_id"), fieldUser, protowire.BytesType},
	7:  {[]byte("timestamp"), fieldTime, protowire.VarintType},
	8:  {[]byte("event_id"), fieldID, protowire.BytesType},
	9:  {[]byte("category"), fieldCategory, protowire.BytesType},
	10: {[]byte("region"), fieldRegion, protowire.BytesType},
	11: {[]byte("count"), fieldCount, protowire.VarintType},
	12: {[]byte("lang"), fieldLang, protowire.BytesType},
	13: {[]byte("source"), fieldSource, protowire.BytesType},
	14: {[]byte("device"), fieldDevice, protowire.BytesType},
	15: {[]byte("session_id"), fieldSession, protowire.BytesType},
	16: {[]byte("watch_time_sec"), fieldWatch, protowire.Fixed64Type},
	17: {[]byte("completed"), fieldCompleted, protowire.VarintType},

	protoAttributes: {[]byte("attributes"), fieldOther, protowire.BytesType},
}

// Protobuf takes a body that is an Event or an EventBatch of messages/event.proto;
// its first field tells which. An event whose bytes are broken harms no other,
// since the batch says where it ends; a broken batch is a *SyntaxError, and nothing
// of it is taken.
func (b *bodies) Protobuf(body []byte) error {
	err := b.protobufBody(body)
	b.release()
	return err
}

func (b *bodies) protobufBody(body []byte) error {
	if len(body) == 0 {
		return ErrEmpty
	}
	if first, _, n := consumeTag(body); n < 0 || first != protoEvents {
		b.protoEvent(body)
		return nil
	}
	b.batch = true
	for pos := 0; pos < len(body); {
		num, typ, n := consumeTag(body[pos:])
		if n < 0 {
			return protoError(pos, n)
		}
		if num != protoEvents {
			return &SyntaxError{Offset: pos, Reason: fmt.Sprintf("a batch has events (field %d) only, not field %d", protoEvents, num)}
		}
		if typ != protowire.BytesType {
			return &SyntaxError{Offset: pos, Reason: fmt.Sprintf("events: wire type %d; want %d", typ, protowire.BytesType)}
		}
		event, length := protowire.ConsumeBytes(body[pos+n:])
		if length < 0 {
			return protoError(pos+n, length)
		}
		b.protoEvent(event)
		pos += n + length
	}
	return nil
}

// consumeTag is protowire.ConsumeTag without numbers that no field may have.
func consumeTag(src []byte) (num protowire.Number, typ protowire.Type, n int) {
	num, typ, n = protowire.ConsumeTag(src)
	if n >= 0 && num > protowire.MaxValidNumber {
		_, _, n = protowire.ConsumeTag([]byte{0}) // its code
	}
	return num, typ, n
}

func protoError(at, code int) *SyntaxError {
	return &SyntaxError{Offset: at, Reason: protoReason(code)}
}

// protoReason says what protowire's codes mean. (Its own texts differ from build to
// build.)
func protoReason(code int) string {
	if errors.Is(protowire.ParseError(code), io.ErrUnexpectedEOF) {
		return "ends too early"
	}
	return "no protobuf"
}

func (b *bodies) protoEvent(src []byte) {
	b.begin()
	b.event.protobuf(src)
	b.finish(0)
}

// protobuf reads an Event.
func (e *event) protobuf(src []byte) {
	object := e.keys.open()
	seen := uint32(0) // by number
	for pos := 0; pos < len(src); {
		var num protowire.Number
		var typ protowire.Type
		var n int
		if c := src[pos]; c >= 1<<3 && c < 0x80 {
			num, typ, n = protowire.Number(c>>3), protowire.Type(c&7), 1
		} else if c >= 0x80 && pos+1 < len(src) && src[pos+1] == 1 { // 16 to 31
			num, typ, n = 16+protowire.Number(c&0x7f>>3), protowire.Type(c&7), 2
		} else if num, typ, n = consumeTag(src[pos:]); n < 0 {
			e.broken(pos, n)
			return
		}
		pos += n
		if int(num) >= len(protoFields) || protoFields[num].name == nil {
			if num == protoEvents {
				e.reject("field %d is of a batch, and stands in an event", num)
			}
			if n = protowire.ConsumeFieldValue(num, typ, src[pos:]); n < 0 {
				e.broken(pos, n)
				return
			}
			pos += n
			continue
		}
		f := &protoFields[num]
		switch {
		case typ != f.wire:
			e.reject("%s: wire type %d; want %d: is it another schema?", f.name, typ, f.wire)
			return
		case seen&(1<<num) != 0 && num != protoAttributes:
			e.reject("%s: given twice", f.name)
		}
		seen |= 1 << num
		switch typ {
		case protowire.BytesType:
			var text []byte
			if end := pos + 1; pos < len(src) && src[pos] < 0x80 && int(src[pos]) <= len(src)-end {
				text, pos = src[end:end+int(src[pos])], end+int(src[pos])
			} else if text, n = protowire.ConsumeBytes(src[pos:]); n < 0 {
				e.broken(pos, n)
				return
			} else {
				pos += n
			}
			if num == protoAttributes {
				e.attribute(object, text)
			} else {
				e.protoText(f, text)
			}
		case protowire.VarintType:
			v, length := protowire.ConsumeVarint(src[pos:])
			if length < 0 {
				e.broken(pos, length)
				return
			}
			pos += length
			e.protoNumber(f, v)
		default:
			v, length := protowire.ConsumeFixed64(src[pos:])
			if length < 0 {
				e.broken(pos, length)
				return
			}
			pos += length
			e.protoFloat(f, v)
		}
	}
}

// broken refuses the event at hand for its bytes.
func (e *event) broken(at, code int) {
	e.reject("byte %d of the event: %s", at, protoReason(code))
}

// protoText takes a string; an empty one was not given.
func (e *event) protoText(f *protoField, text []byte) {
	if len(text) == 0 {
		return
	}
	v, plain, ok := textValue(text)
	if !ok {
		e.reject("%s: invalid UTF-8", f.name)
		return
	}
	e.known(f.field, f.name)
	if e.set(f.field, v) {
		e.keepMember(f.name, text, plain)
	}
}

// textValue is a value of text. It is not ok if that is no UTF-8, and plain if it has
// no special byte.
func textValue(text []byte) (v value, plain, ok bool) {
	if allPlain(text) {
		return value{kind: kindText, text: text}, true, true
	}
	if !utf8.Valid(text) {
		return v, false, false
	}
	return value{kind: kindText, control: hasControl(text), text: text}, false, true
}

// keepMember keeps a member that is text; plain says that its key and text have no
// special byte.
func (e *event) keepMember(key, text []byte, plain bool) {
	if !e.bounded() {
		return
	}
	m := e.members(false)
	if plain && len(text) <= MaxExtraBytes {
		b := slices.Grow(*m, len(key)+len(text)+5)
		b = append(append(append(b, '"'), key...), `":"`...)
		*m = append(append(b, text...), '"')
		return
	}
	*m = appendQuoted(*m, key)
	*m = append(*m, ':')
	*m = appendQuoted(*m, text)
}

// protoNumber takes an integer or a boolean.
func (e *event) protoNumber(f *protoField, v uint64) {
	switch f.field {
	case fieldCount:
		if v == 0 {
			return
		}
	case fieldCompleted:
		e.known(f.field, f.name)
		word := wordFalse
		if v != 0 {
			word = wordTrue
		}
		e.set(f.field, value{kind: kindBool, text: word})
		return
	}
	e.known(f.field, f.name)
	if f.field == fieldTime && int64(v) < 0 {
		e.literal = strconv.AppendInt(e.literal[:0], int64(v), 10)
		e.set(f.field, value{kind: kindInteger, text: e.literal})
		return
	}
	e.number = v
	e.set(f.field, value{kind: kindUint})
}

// protoFloat takes a double, as the decimal that its writer wrote.
func (e *event) protoFloat(f *protoField, bits uint64) {
	e.known(f.field, f.name)
	x := math.Float64frombits(bits)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		e.reject("%s: not a finite number", f.name)
		return
	}
	if whole := uint64(x); x >= 0 && x < 1e15 && float64(whole) == x { // mostly
		e.number = whole
		e.set(f.field, value{kind: kindUint})
		return
	}
	e.literal = packHead{width: 8, bits: bits}.appendFloat(e.literal[:0])
	if e.set(f.field, value{kind: kindNumber, text: e.literal}) && e.bounded() {
		m := e.members(false)
		*m = appendQuoted(*m, f.name)
		*m = append(*m, ':')
		*m = append(*m, e.literal...)
	}
}

// attribute takes an entry of the map.
func (e *event) attribute(object uint32, entry []byte) {
	key, text, ok := usualEntry(entry)
	if !ok {
		var at, code int
		if key, text, at, code = anyEntry(entry); code < 0 {
			e.broken(at, code)
			return
		}
	}
	v, plain, ok := textValue(text)
	plainKey := allPlain(key)
	if !ok || !plainKey && !utf8.Valid(key) {
		e.reject("attributes: invalid UTF-8")
		return
	}
	if e.set(e.field(object, key, false), v) {
		e.keepMember(key, text, plain && plainKey)
	}
}

// usualEntry reads an entry as all writers write it, if both parts are short: its
// key, then its value.
func usualEntry(entry []byte) (key, text []byte, ok bool) {
	const keyTag, textTag = 1<<3 | byte(protowire.BytesType), 2<<3 | byte(protowire.BytesType)
	if len(entry) < 4 || entry[0] != keyTag || entry[1] >= 0x80 {
		return nil, nil, false
	}
	key, rest := entry[2:], 0
	if rest = len(key) - int(entry[1]); rest < 2 {
		return nil, nil, false
	}
	key, text = key[:entry[1]], key[entry[1]:]
	return key, text[2:], text[0] == textTag && text[1] < 0x80 && int(text[1]) == rest-2
}

// anyEntry reads an entry in any order, with whatever else is in it; of a part that
// comes twice the last one holds. A code below 0 says that it is broken.
func anyEntry(entry []byte) (key, text []byte, pos, code int) {
	for pos < len(entry) {
		num, typ, n := consumeTag(entry[pos:])
		if n < 0 {
			return nil, nil, pos, n
		}
		pos += n
		switch {
		case num == 1 && typ == protowire.BytesType:
			key, n = protowire.ConsumeBytes(entry[pos:])
		case num == 2 && typ == protowire.BytesType:
			text, n = protowire.ConsumeBytes(entry[pos:])
		default:
			n = protowire.ConsumeFieldValue(num, typ, entry[pos:])
		}
		if n < 0 {
			return nil, nil, pos, n
		}
		pos += n
	}
	return key, text, pos, 0
}
