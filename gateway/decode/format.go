package decode

import (
	"bytes"
	"fmt"
)

// Format is the form of a message.
type Format uint8

// The formats.
const (
	FormatAuto        Format = iota // told by the message's headers, or else by its first bytes
	FormatJSON                      // an event or an array of events
	FormatNDJSON                    // an event per line
	FormatMsgpack                   // an array of maps, or one map after the other
	FormatProtobuf                  // Event or EventBatch of messages/event.proto
	FormatCloudEvents               // events in envelopes, as JSON or by headers
)

var formatNames = [...]string{"auto", "json", "ndjson", "msgpack", "protobuf", "cloudevents"}

func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// ParseFormat reads what String writes; "" is auto.
func ParseFormat(s string) (Format, error) {
	if s == "" {
		return FormatAuto, nil
	}
	for f, name := range formatNames {
		if s == name {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("format %q: want auto, json, ndjson, msgpack, protobuf or cloudevents", s)
}

// mediaOf is the format that a content type names, and its parameters; false if
// none can read it. One that says nothing leaves it to the bytes.
func mediaOf(contentType []byte) (f Format, params []byte, ok bool) {
	if f, ok = mediaNamed(contentType); ok { // mostly
		return f, nil, true
	}
	name, params, _ := bytes.Cut(contentType, []byte{';'})
	name = bytes.ToLower(bytes.TrimSpace(name))
	f, ok = mediaNamed(name)
	if !ok && bytes.HasSuffix(name, []byte("+json")) && !bytes.HasPrefix(name, []byte("application/cloudevents")) {
		f, ok = FormatJSON, true
	}
	return f, params, ok
}

func mediaNamed(name []byte) (f Format, ok bool) {
	switch string(name) {
	case "", "*/*", "application/octet-stream", "text/plain":
		return FormatAuto, true
	case "application/json", "text/json":
		return FormatJSON, true
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		return FormatNDJSON, true
	case "application/msgpack", "application/x-msgpack", "application/vnd.msgpack":
		return FormatMsgpack, true
	case "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf":
		return FormatProtobuf, true
	case "application/cloudevents+json", "application/cloudevents-batch+json":
		return FormatCloudEvents, true
	}
	return FormatAuto, false
}

// protoNames are the messages of messages/event.proto.
var protoNames = map[string]bool{"crest.v1.Event": true, "crest.v1.EventBatch": true, "Event": true, "EventBatch": true}

// foreignProto finds the protobuf message that a content type names in a
// parameter, if it is none of ours.
func foreignProto(params []byte) (name []byte) {
	for len(params) > 0 {
		var p []byte
		p, params, _ = bytes.Cut(params, []byte{';'})
		key, v, _ := bytes.Cut(p, []byte{'='})
		key, v = bytes.TrimSpace(key), bytes.Trim(v, " \t\"")
		if (bytes.EqualFold(key, []byte("proto")) || bytes.EqualFold(key, []byte("messagetype"))) && !protoNames[string(v)] {
			return v
		}
	}
	return nil
}

// sniff tells a format by the first bytes: FormatJSON stands for all text, FormatAuto
// for nothing known. The tags that protobuf may begin with are those of the topic,
// of a video_id, and of a batch's events.
func sniff(value []byte) Format {
	switch c := value[0]; {
	case c == '{' || c == '[':
		return FormatJSON
	case c&0xf0 == 0x80 || c&0xf0 == 0x90 || c >= 0xdc && c <= 0xdf: // a map or an array
		return FormatMsgpack
	case c == 0x12 || c == 0x2a || c == 0x1a:
		return FormatProtobuf
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(value, byteOrderMark), " \t\r\n")
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		return FormatJSON
	}
	return FormatAuto
}

// unframed is what follows the five bytes that clients of a schema registry put in
// front of a value (0 and the schema's number), and for protobuf the place of the
// message within its schema; false if there are neither JSON nor protobuf events.
func unframed(value []byte) (payload []byte, ok bool) {
	if len(value) < 6 || value[0] != 0 {
		return nil, false
	}
	payload = value[5:]
	if sniff(payload) == FormatJSON {
		return payload, true
	}
	// A count and as many numbers; a count of 0 stands for the one number 0.
	count := payload[0] / 2 // zigzag
	if payload[0]&1 != 0 || payload[0] >= 0x80 || len(payload) <= int(count)+1 {
		return nil, false
	}
	payload = payload[1+count:] // messages are not that many: a byte each
	return payload, sniff(payload) == FormatProtobuf
}

// severalLines tells whether a text that is no JSON has an object on a line of its
// own: then each line is an event, and some are broken. In an object that is printed
// over several lines such a line has something in front that it belongs to.
func severalLines(text []byte) bool {
	at := bytes.Index(text, []byte("\n{"))
	if at < 0 {
		return false
	}
	before := bytes.TrimRight(text[:at], " \t\r\n")
	return len(before) == 0 || bytes.IndexByte([]byte(":,[{"), before[len(before)-1]) < 0
}
