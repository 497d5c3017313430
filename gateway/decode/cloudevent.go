package decode

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/crestdb/crest/messages"
)

// envelope is what a CloudEvent says around its event: its time is that of an event
// without one, its source and id together are the id of an event without one.
type envelope struct {
	id, source, time []byte
	contentType      []byte // of data_base64
	hasVersion       bool
	hasData          bool   // other than null
	data, topic      bool   // the key data or data_base64, and that of a bare event, are there
	encoded          []byte // data_base64 as it came
	used             bool   // it holds on to a message
}

// envelopes says which JSON events are taken out of an envelope.
type envelopes uint8

const (
	envelopesNone envelopes = iota // specversion is a key like any other
	envelopesSeen                  // those that look like one
	envelopesAll
)

// enveloped tells whether an event that was scanned as it stands looks like an
// envelope: it names the version of CloudEvents, and has either data or no topic.
func (e *event) enveloped() bool {
	return e.version && (e.data || e.seen&(1<<fieldTopic) == 0)
}

// jsonObject scans the event that begins at pos, in an envelope or as it stands.
func (b *bodies) jsonObject(pos int) (end int) {
	s, e := &b.json, &b.event
	b.begin()
	if s.is(pos, '{') {
		switch b.envelopes {
		case envelopesAll:
			return b.cloudEvent(pos)
		case envelopesSeen:
			if len(s.src) > pos+len(usualEnvelope) && string(s.src[pos:pos+len(usualEnvelope)]) == usualEnvelope {
				if end = b.cloudEvent(pos); end < 0 || b.envelope.data || !b.envelope.topic {
					return end
				}
				b.begin()
			}
		}
	}
	if end = s.event(e, pos); end >= 0 && b.envelopes == envelopesSeen && e.enveloped() {
		b.begin()
		end = b.cloudEvent(pos)
	}
	return end
}

// usualEnvelope is how most envelopes begin: they need not be scanned as an event
// first.
const usualEnvelope = `{"specversion":`

// cloudEvent scans an envelope from its opening brace, and the event in it.
func (b *bodies) cloudEvent(pos int) int {
	s, e, env := &b.json, &b.event, &b.envelope
	s.arena = s.arena[:0]
	*env = envelope{used: true}
	e.around = env
	object := e.keys.open()
	if pos = s.space(pos + 1); s.is(pos, '}') {
		b.finishEnvelope()
		return pos + 1
	}
	for {
		t, at := s.key(pos)
		if at < 0 {
			return broken
		}
		key := s.content(t)
		e.uniqueText(object, key)
		e.key = key
		end := 0
		if string(key) == "data" && s.is(at, '{') {
			env.data, env.hasData = true, true
			end = s.object(e, at, 2, false)
		} else {
			var v value
			if v, end = s.value(e, at, 1); end >= 0 {
				e.key = key
				env.set(e, key, v)
			}
		}
		if end < 0 {
			return broken
		}
		end = s.space(end)
		if s.is(end, '}') {
			b.finishEnvelope()
			return end + 1
		}
		if !s.is(end, ',') {
			return s.unexpected(end, "want , or }")
		}
		pos = s.space(end + 1)
	}
}

// What is reported of attributes as if it were a key of the event.
var (
	keyTime     = []byte("time")
	keySourceID = []byte("source/id")
)

// envelopeNames are the attributes whose other spellings are refused.
var envelopeNames = [][]byte{[]byte("specversion"), []byte("data"), []byte("id"), []byte("source"), keyTime, []byte("datacontenttype"), []byte("data_base64")}

// set takes an attribute, or data that is no object. Attributes of no meaning here
// are passed over.
func (env *envelope) set(e *event, key []byte, v value) {
	var to *[]byte
	switch string(key) {
	case "specversion":
		env.hasVersion = true
		if v.kind != kindText || !bytes.HasPrefix(v.text, []byte("1.")) {
			e.refuseKind(v, `"1.0"`)
		}
		return
	case "data":
		env.data = true
		if v.kind != kindNull {
			env.hasData = true
			e.refuseKind(v, "an object: the event")
		}
		return
	case "id":
		to = &env.id
	case "source":
		to = &env.source
	case "time":
		to = &env.time
	case "datacontenttype":
		to = &env.contentType
	case "data_base64":
		env.data = true
		to = &env.encoded
	case "topic", "video_id":
		env.topic = true
		return
	default:
		for _, name := range envelopeNames {
			if bytes.EqualFold(key, name) {
				e.reject("%s: the attribute is %s, in this case", strconv.QuoteToGraphic(shorten(key)), name)
			}
		}
		return
	}
	switch v.kind {
	case kindText:
		*to = v.text
	case kindNull:
	default:
		e.refuseKind(v, "a string")
	}
}

// finishEnvelope checks what must be there, and decodes data_base64.
func (b *bodies) finishEnvelope() {
	e, env := &b.event, &b.envelope
	switch {
	case !env.hasVersion:
		e.reject("specversion: missing; want a CloudEvent")
	case env.encoded != nil && env.hasData:
		e.reject("data_base64: given beside data")
	case env.encoded != nil:
		b.encodedData()
	case !env.hasData:
		e.reject("data: missing; want the event")
	}
}

// encodedData reads the one event in data_base64.
func (b *bodies) encodedData() {
	e, env := &b.event, &b.envelope
	f, params, ok := mediaOf(env.contentType)
	if f == FormatAuto {
		f = FormatJSON // the default of CloudEvents in JSON
	}
	if name := foreignProto(params); f == FormatProtobuf && name != nil {
		e.reject("datacontenttype: protobuf message %s; want crest.v1.Event", strconv.QuoteToGraphic(shorten(name)))
		return
	}
	b.data = growTo(b.data, base64.StdEncoding.DecodedLen(len(env.encoded)))
	n, err := base64.StdEncoding.Decode(b.data, env.encoded)
	if err != nil {
		e.reject("data_base64: not base64")
		return
	}
	data := b.data[:n]
	switch {
	case ok && f == FormatJSON:
		b.encodedJSON(data)
	case ok && f == FormatMsgpack:
		b.encodedPack(data)
	case ok && f == FormatProtobuf:
		e.protobuf(data)
	default:
		e.reject("datacontenttype: %s; want JSON, msgpack or protobuf", strconv.QuoteToGraphic(shorten(env.contentType)))
	}
}

func growTo(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func (b *bodies) encodedJSON(data []byte) {
	s := &b.inner
	s.src = data
	pos := s.event(&b.event, s.space(0))
	if pos >= 0 {
		pos = s.nothingBehind(pos, "want one event")
	}
	if pos < 0 {
		b.event.reject("data_base64: %v", textError(data, s.failed, s.reason))
	}
	s.src = nil
}

func (b *bodies) encodedPack(data []byte) {
	s, e := &b.pack, &b.event
	s.src, s.arena = data, s.arena[:0]
	h, pos := s.head(0)
	switch {
	case pos < 0:
	case h.kind != packMap:
		pos = s.fail(0, "want a map")
	default:
		if pos = s.object(e, h.n(), pos, 1, false); pos >= 0 && pos < len(data) {
			pos = s.fail(pos, "want one event")
		}
	}
	if pos < 0 {
		e.reject("data_base64: %v", &SyntaxError{Offset: s.failed, Reason: s.reason})
	}
	s.src = nil
}

// fill gives an event what it lacks and its envelope has. A message with its
// envelope in the headers may hold several events: those behind the first have
// their place in it behind the id.
func (env *envelope) fill(e *event, place int) {
	if len(env.id) == 0 || len(env.source) == 0 {
		e.reject("a CloudEvent needs both id and source")
		return
	}
	if !e.record.HasTime && len(env.time) > 0 {
		e.key = keyTime
		v, _, ok := textValue(env.time)
		if !ok {
			v = value{kind: kindBytes}
		}
		e.setTime(v)
	}
	if len(e.record.ID) > 0 {
		return
	}
	e.id = append(e.id[:0], env.source...)
	e.id = append(e.id, '/')
	e.id = append(e.id, env.id...)
	if place > 0 {
		e.id = append(e.id, '/')
		e.id = strconv.AppendInt(e.id, int64(place), 10)
	}
	e.key = keySourceID
	v, _, ok := textValue(e.id)
	switch {
	case !ok:
		e.reject("source/id: invalid UTF-8")
	case !v.isText(1, messages.MaxIDBytes):
		e.refuseText(v, 1, messages.MaxIDBytes)
	}
	e.record.ID = e.id
}
