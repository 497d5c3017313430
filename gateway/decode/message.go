package decode

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// MessageConfig says how messages of other producers become records.
type MessageConfig struct {
	// Format of all messages; FormatAuto tells it of each.
	Format Format
	// UserKey is the 128-bit key users are hashed with.
	UserKey [2]uint64
	// KeepUserIDs stores users as they came instead of their hash.
	KeepUserIDs bool
}

// MaxReasons is how many refusals of one message have a reason of their own.
const MaxReasons = 1000

// MessageDecoder decodes messages one by one, all events of each into one run of
// records. It belongs to one goroutine at a time. See NewMessageDecoder.
type MessageDecoder struct {
	bodies  bodies
	format  Format
	out     []byte
	records int
	refused []messages.Refusal
}

// NewMessageDecoder makes a decoder.
func NewMessageDecoder(cfg MessageConfig) *MessageDecoder {
	d := &MessageDecoder{format: cfg.Format}
	d.bodies = newBodies(d, cfg.UserKey, cfg.KeepUserIDs)
	return d
}

// Decode appends the events of a message to dst, as records, and tells how many
// they are. Wrong events are refused one by one, up to MaxReasons, and those behind
// in one refusal that says how many they are; a message that is broken where
// nothing says how it goes on is one refusal, and no record. There is a record or a
// refusal for each message. The refusals are the caller's.
func (d *MessageDecoder) Decode(m *messages.Message, dst []byte) (out []byte, records int, refused []messages.Refusal) {
	d.out, d.records, d.refused = dst, 0, nil
	d.bodies.open(m.Stamp, m.Latest)
	if err := d.message(m); err != nil {
		if string(bytes.TrimSpace(m.Value)) == "null" {
			err = errNull
		}
		d.restart(len(dst))
		d.refused = []messages.Refusal{{Reason: err.Error()}}
	}
	out, refused = d.out, d.refused
	d.out, d.refused = nil, nil
	if d.bodies.envelope.used {
		d.bodies.envelope = envelope{}
	}
	return out, d.records, refused
}

// restart gives up what was decoded of the message so far.
func (d *MessageDecoder) restart(length int) {
	d.out, d.records, d.refused, d.bodies.events = d.out[:length], 0, nil, 0
}

// take appends an event.
func (d *MessageDecoder) take(r *messages.Record) {
	d.out = r.AppendTo(d.out)
	d.records++
}

// reject keeps why an event is refused.
func (d *MessageDecoder) reject(r Rejection) {
	reason := r.Reason
	switch {
	case len(d.refused) > MaxReasons:
		d.refused[MaxReasons].More++
		return
	case !d.explains():
		reason = fewReasons
	case r.Column > 0:
		reason = fmt.Sprintf("line %d, column %d: %s", r.Line, r.Column, reason)
	case r.Line > 0:
		reason = fmt.Sprintf("line %d: %s", r.Line, reason)
	}
	d.refused = append(d.refused, messages.Refusal{Index: r.Index, Reason: reason})
}

func (d *MessageDecoder) explains() bool { return len(d.refused) < MaxReasons }

var fewReasons = fmt.Sprintf("not looked into: %d events of the message are refused before it", MaxReasons)

// What a tombstone is, and what some take for one.
var (
	errNoValue = errors.New("empty: the message has no value")
	errNull    = errors.New("empty: null")
)

// message finds out what a message is, and takes it.
func (d *MessageDecoder) message(m *messages.Message) error {
	value := m.Value
	if len(value) == 0 {
		return errNoValue
	}
	if d.format == FormatAuto && len(m.Headers) == 0 && value[0] == '{' { // mostly
		d.bodies.envelopes = envelopesSeen
		return d.text(value)
	}
	if value[0] == 0 { // begins no format
		if payload, ok := unframed(value); ok {
			value = payload
		}
	}
	d.bodies.envelopes = envelopesNone
	if d.format == FormatAuto {
		d.bodies.envelopes = envelopesSeen
	}
	if len(m.Headers) == 0 {
		return d.as(d.format, value)
	}
	h, err := d.headers(m.Headers)
	if err != nil {
		return err
	}
	if h.binary && (d.format == FormatAuto || d.format == FormatCloudEvents) {
		// The value is the event, and content-type that of the value.
		d.bodies.around, d.bodies.envelopes = &d.bodies.envelope, envelopesNone
	} else if d.format != FormatAuto {
		return d.as(d.format, value)
	}
	f, params, ok := mediaOf(h.contentType)
	switch {
	case !ok || h.binary && f == FormatCloudEvents:
		return fmt.Errorf("content-type: %s; want that of JSON, NDJSON, msgpack, protobuf or CloudEvents in JSON", strconv.QuoteToGraphic(shorten(h.contentType)))
	case f == FormatProtobuf:
		name := h.protoType
		if protoNames[string(name)] {
			name = nil
		}
		if name == nil {
			name = foreignProto(params)
		}
		if name != nil {
			return fmt.Errorf("protobuf message %s; want crest.v1.Event or crest.v1.EventBatch", strconv.QuoteToGraphic(shorten(name)))
		}
	}
	return d.as(f, value)
}

// messageHeaders are the headers that mean something.
type messageHeaders struct {
	contentType, protoType []byte
	binary                 bool // they are the envelope of a CloudEvent
}

// headers reads a message's headers. Those of an envelope go into d.bodies.envelope.
func (d *MessageDecoder) headers(all []messages.Header) (h messageHeaders, err error) {
	seen := 0
	for i := range all {
		key, v := all[i].Key, all[i].Value
		bit := 0
		switch string(key) {
		case "ce_specversion":
			bit, h.binary = 1, true
			if !bytes.HasPrefix(v, []byte("1.")) {
				return h, fmt.Errorf("ce_specversion: %s; want 1.0", strconv.QuoteToGraphic(shorten(v)))
			}
		case "ce_id":
			bit, d.bodies.envelope.id = 2, v
		case "ce_source":
			bit, d.bodies.envelope.source = 4, v
		case "ce_time":
			bit, d.bodies.envelope.time = 8, v
		case "content-type":
			h.contentType = v
		case "proto-type":
			h.protoType = v
		default:
			if len(key) == len(contentType) && bytes.EqualFold(key, contentType) {
				h.contentType = v
			}
		}
		if bit == 0 {
			continue
		}
		d.bodies.envelope.used = true
		if seen&bit != 0 {
			return h, fmt.Errorf("%s: given twice", key)
		}
		seen |= bit
		if !utf8.Valid(v) {
			return h, fmt.Errorf("%s: invalid UTF-8", key)
		}
	}
	return h, nil
}

var contentType = []byte("content-type")

// as takes a value of a format.
func (d *MessageDecoder) as(f Format, value []byte) (err error) {
	switch f {
	case FormatAuto:
		return d.unknown(value)
	case FormatJSON:
		err = d.bodies.JSON(value)
	case FormatNDJSON:
		err = d.bodies.NDJSON(value)
	case FormatMsgpack:
		err = d.bodies.Msgpack(value)
	case FormatProtobuf:
		err = d.bodies.Protobuf(value)
	case FormatCloudEvents:
		d.bodies.envelopes = envelopesAll
		return d.text(value)
	}
	return explained(f, err)
}

// unknown takes a value that nothing was said about.
func (d *MessageDecoder) unknown(value []byte) error {
	switch f := sniff(value); f {
	case FormatJSON:
		return d.text(value)
	case FormatAuto:
		if severalLines(value) { // and the first is broken
			return explained(FormatNDJSON, d.bodies.NDJSON(value))
		}
		return errors.New(unlike(value))
	default:
		return d.as(f, value)
	}
}

// text takes JSON in whatever lines it comes: one value, or an event per line. Only
// the lines of the first event may be several.
func (d *MessageDecoder) text(value []byte) error {
	b, start := &d.bodies, len(d.out)
	text := value
	if text[0] == byteOrderMark[0] {
		text = bytes.TrimPrefix(value, byteOrderMark)
	}
	end, err := b.jsonValue(text)
	if err == nil && end == len(text) && !b.batch { // mostly
		b.release()
		return nil
	}
	if err == nil {
		next := bytes.IndexByte(text[end:b.json.space(end)], '\n')
		if next < 0 || b.json.space(end) == len(text) {
			err = b.jsonEnd(end)
			b.release()
			return explained(FormatJSON, err)
		}
		if !b.batch && d.refused == nil {
			from := end + next + 1
			b.lines(text[from:], 1+bytes.Count(text[:from], []byte{'\n'}))
			b.release()
			return nil
		}
	} else if !severalLines(text) {
		b.release()
		return explained(FormatJSON, err)
	}
	d.restart(start)
	return explained(FormatNDJSON, b.NDJSON(text))
}

// explained says as what a message was read that is refused as a whole.
func explained(f Format, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrEmpty):
		return fmt.Errorf("empty: no event in it, read as %v", f)
	}
	return fmt.Errorf("read as %v: %w", f, err)
}

// unlike says what a value is not.
func unlike(value []byte) string {
	text := bytes.TrimSpace(value)
	switch {
	case len(text) == 0:
		return "empty: nothing but white space"
	case string(text) == "\xc0": // of msgpack
		return errNull.Error()
	case value[0] == 0:
		return "begins with the byte 0, as a schema registry's clients frame it, but what follows is neither JSON nor an event of messages/event.proto"
	case value[0] == 0x1f || value[0] == 0x28 && bytes.HasPrefix(value, []byte("\x28\xb5\x2f\xfd")):
		return "is compressed by itself; let the producer compress its batches instead"
	case utf8.Valid(value):
		return fmt.Sprintf("begins with %s; want JSON ({ or [), msgpack (a map or an array) or protobuf, or a header content-type that says what it is", strconv.QuoteToGraphic(shorten(text[:min(len(text), 16)])))
	}
	return fmt.Sprintf("begins with the byte 0x%02x; want JSON ({ or [), msgpack (a map or an array) or protobuf, or a header content-type that says what it is", value[0])
}
