package decode

import (
	"bytes"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// poison are messages that hold no event, and why.
var poison = []struct {
	name   string
	value  string
	head   []string
	reason string
}{
	{"a tombstone", "", nil, "empty: the message has no value"},
	{"null", " null\n", nil, "empty: null"},
	{"null by header", "null", []string{"content-type", "application/json"}, "empty: null"},
	{"nil of msgpack", "\xc0", nil, "empty: null"},
	{"white space", " \t\n", nil, "empty: nothing but white space"},
	{"an array of nothing", "[]", nil, "empty: no event in it, read as json"},
	{"no line", "\n\n", []string{"content-type", "application/x-ndjson"}, "empty: no event in it, read as ndjson"},
	{"plain text", "hello, world", nil, `begins with "hello, world"; want JSON ({ or [), msgpack (a map or an array) or protobuf, or a header content-type that says what it is`},
	{"a number", "17", nil, `begins with "17"; want JSON ({ or [), msgpack (a map or an array) or protobuf, or a header content-type that says what it is`},
	{"garbage", "\xff\xfe\x00\x01", nil, "begins with the byte 0xff; want JSON ({ or [), msgpack (a map or an array) or protobuf, or a header content-type that says what it is"},
	{"gzip in the value", "\x1f\x8b\x08\x00", nil, "is compressed by itself; let the producer compress its batches instead"},
	{"Avro of a schema registry", "\x00\x00\x00\x00\x09\x0etopic", nil, "begins with the byte 0, as a schema registry's clients frame it, but what follows is neither JSON nor an event of messages/event.proto"},
	{"an unknown type", `{"topic":"a"}`, []string{"content-type", "image/png"}, `content-type: "image/png"; want that of JSON, NDJSON, msgpack, protobuf or CloudEvents in JSON`},
	{"CloudEvents in Avro", `{"topic":"a"}`, []string{"content-type", "application/cloudevents+avro"}, `content-type: "application/cloudevents+avro"; want that of JSON, NDJSON, msgpack, protobuf or CloudEvents in JSON`},

	{"JSON cut off", `{"topic":"a"`, nil, "read as json: line 1, column 13: ends too early: want , or }"},
	{"an array broken in its second event", "[{\"topic\":\"a\"},\n{\"topic\":}]", nil, "read as json: line 2, column 10: want a value"},
	{"invalid UTF-8", "{\"topic\":\"\xff\"}", nil, "read as json: line 1, column 11: invalid UTF-8"},
	{"half a surrogate", `{"topic":"\ud800"}`, nil, `read as json: line 1, column 11: not an escape: want \" \\ \/ \b \f \n \r \t or \u and four hexadecimal digits, surrogates in pairs`},
	{"nested too deep", strings.Repeat("[", 40), nil, "read as json: line 1, column 34: nested deeper than 32 levels"},
	{"two values in a line", `{"topic":"a"} {"topic":"b"}`, nil, "read as json: line 1, column 15: want one value in the body; several lines of events are application/x-ndjson"},
	{"msgpack said to be JSON", "\x81\xa5topic\xa1a", []string{"content-type", "application/json"}, "read as json: line 1, column 1: want an event or an array of events"},
	{"JSON said to be msgpack", `{"topic":"a"}`, []string{"content-type", "application/msgpack"}, "read as msgpack: byte 0: want an array of maps, or one map after the other"},
	{"msgpack cut off", "\x82\xa5topic\xa1a", nil, "read as msgpack: byte 9: ends too early"},
	{"msgpack that announces too much", "\xdd\xff\xff\xff\xff", nil, "read as msgpack: byte 0: announces 4294967295 bytes or values, but only 0 bytes follow"},
	{"a batch of protobuf cut off", protobuf(protoBatch)[:4], nil, "read as protobuf: byte 1: ends too early"},
	{"a batch with something else in it", protobuf(protoBatch) + protobuf(&eventpb.Event{Topic: "a"}), nil, "read as protobuf: byte 12: a batch has events (field 3) only, not field 2"},
	{"protobuf of another message", protobuf(typicalProto), []string{"content-type", `application/protobuf; proto="acme.View"`}, `protobuf message "acme.View"; want crest.v1.Event or crest.v1.EventBatch`},
	{"protobuf of another message by header", protobuf(typicalProto), []string{"content-type", "application/protobuf", "proto-type", "acme.View"}, `protobuf message "acme.View"; want crest.v1.Event or crest.v1.EventBatch`},
	{"CloudEvents of another version", `{"topic":"a"}`, []string{"ce_specversion", "0.3"}, `ce_specversion: "0.3"; want 1.0`},
	{"CloudEvents without an id", `{"topic":"a"}`, []string{"ce_specversion", "1.0"}, "a CloudEvent needs both id and source"},
	{"CloudEvents with two ids", `{"topic":"a"}`, []string{"ce_specversion", "1.0", "ce_id", "1", "ce_id", "2"}, "ce_id: given twice"},
	{"CloudEvents with an id that is no text", `{"topic":"a"}`, []string{"ce_specversion", "1.0", "ce_id", "\xff", "ce_source", "s"}, "ce_id: invalid UTF-8"},

	{"no topic", `{"topik":"a"}`, nil, "topic: missing"},
	{"an empty topic", `{"topic":""}`, nil, "topic: empty; want 1 to 512 bytes"},
	{"a topic that is a number", `{"topic":5}`, nil, "topic: 5; want a string"},
	{"a topic too long", `{"topic":"` + strings.Repeat("x", 513) + `"}`, nil, `topic: "` + strings.Repeat("x", 48) + `…" has 513 bytes; at most 512 are allowed`},
	{"a topic with control characters", `{"topic":"a\u0000"}`, nil, `topic: "a\x00" has control characters`},
	{"another spelling", `{"Topic":"a"}`, nil, `"Topic": the key is topic, in this case`},
	{"a key twice", `{"topic":"a","topic":"b"}`, nil, "topic: given twice, under this or another name"},
	{"a timestamp ahead", `{"topic":"a","timestamp":1762000301}`, nil, "timestamp: 1762000301 lies 5m1s ahead of the clock; at most 5m0s is allowed"},
	{"a timestamp that is none", `{"topic":"a","timestamp":"yesterday"}`, nil, `timestamp: "yesterday"; want RFC 3339 (2006-01-02T15:04:05Z) or a Unix time from 0 to below 10^17: seconds below 10^11, milliseconds below 10^14, microseconds`},
	{"a timestamp before 1970", `{"topic":"a","timestamp":"1969-12-31T23:59:59Z"}`, nil, `timestamp: "1969-12-31T23:59:59Z" lies before 1970`},
	{"a count of nothing", `{"topic":"a","count":0}`, nil, "count: 0; want an integer from 1 to 2147483648"},
	{"a count that is text", `{"topic":"a","count":"5"}`, nil, `count: "5"; want an integer from 1 to 2147483648`},
	{"a user that is an object", `{"topic":"a","user_id":{}}`, nil, "user_id: an object; want a string or an integer"},
	{"too much to keep", `{"topic":"a","x":"` + strings.Repeat("x", MaxExtraBytes) + `"}`, nil, "the keys that are only kept take more than 65536 bytes"},
	{"too many keys", `{"topic":"a"` + manyKeys(MaxKeys+1) + `}`, nil, "more than 4096 keys"},
	{"a key of msgpack that is no string", "\x81\x01\x02", nil, "a key is an integer; keys must be strings"},

	{"protobuf without a topic", "\x2a\x00", nil, "topic: missing"},
	{"protobuf with two topics", protobuf(&eventpb.Event{Topic: "a", VideoId: "b"}), nil, "video_id: given twice, under this or another name"},
	{"protobuf cut off", "\x12\x05ab", nil, "byte 1 of the event: ends too early"},
	{"protobuf that is none", "\x12\x01a\x07", nil, "byte 3 of the event: no protobuf"},
	{"protobuf of another schema", "\x12\x01a\x30\x05", nil, "user_id: wire type 0; want 2: is it another schema?"},
	{"protobuf with a field twice", "\x12\x01a\x12\x01a", nil, "topic: given twice"},
	{"protobuf with invalid UTF-8", "\x12\x01\xff", nil, "topic: invalid UTF-8"},
	{"protobuf with a batch in an event", "\x12\x01a\x1a\x00", nil, "field 3 is of a batch, and stands in an event"},
	{"protobuf with an attribute that is a field", protobuf(&eventpb.Event{Topic: "a", Attributes: map[string]string{"topic": "b"}}), nil, "topic: given twice, under this or another name"},

	{"an envelope without an event", `{"specversion":"1.0","id":"1","source":"s"}`, nil, "data: missing; want the event"},
	{"an envelope around a string", ce(`"x"`), nil, `data: "x"; want an object: the event`},
	{"an envelope without an id", `{"specversion":"1.0","source":"s","data":{"topic":"a"}}`, nil, "a CloudEvent needs both id and source"},
	{"an envelope of another version", `{"specversion":"2.0","id":"1","source":"s","data":{"topic":"a"}}`, nil, `specversion: "2.0"; want "1.0"`},
	{"an envelope with an id that is a number", `{"specversion":"1.0","id":1,"source":"s","data":{"topic":"a"}}`, nil, "id: 1; want a string"},
	{"an envelope with an id too long", `{"specversion":"1.0","id":"` + strings.Repeat("x", 511) + `","source":"s","data":{"topic":"a"}}`, nil, `source/id: "s/` + strings.Repeat("x", 46) + `…" has 513 bytes; at most 512 are allowed`},
	{"an envelope with another spelling", `{"specversion":"1.0","ID":"1","source":"s","data":{"topic":"a"}}`, nil, `"ID": the attribute is id, in this case`},
	{"an envelope with a time ahead", strings.Replace(ce(`{"topic":"a"}`), "2025", "2035", 1), nil, `time: "2035-11-01T12:26:30Z" lies 3651 days ahead of the clock; at most 5m0s is allowed`},
	{"an envelope with data twice", `{"specversion":"1.0","id":"1","source":"s","data":{"topic":"a"},"data_base64":""}`, nil, "data_base64: given beside data"},
	{"no base64", `{"specversion":"1.0","id":"1","source":"s","data_base64":"*"}`, nil, "data_base64: not base64"},
	{"base64 of broken JSON", `{"specversion":"1.0","id":"1","source":"s","data_base64":"ew=="}`, nil, "data_base64: line 1, column 2: ends too early: want a key in double quotes"},
	{"base64 of broken msgpack", `{"specversion":"1.0","id":"1","source":"s","datacontenttype":"application/msgpack","data_base64":"gQ=="}`, nil, "data_base64: byte 0: announces 1 keys and values, but only 0 bytes follow"},
	{"base64 of a picture", `{"specversion":"1.0","id":"1","source":"s","datacontenttype":"image/png","data_base64":"ew=="}`, nil, `datacontenttype: "image/png"; want JSON, msgpack or protobuf`},
	{"an event without an envelope where one is promised", `{"topic":"a"}`, []string{"content-type", cloudEvents}, "specversion: missing; want a CloudEvent"},
}

func TestPoisonIsRefusedWithItsReason(t *testing.T) {
	d := newTestDecoder(FormatAuto)
	for _, p := range poison {
		t.Run(p.name, func(t *testing.T) {
			out, records, refused := d.Decode(message(p.value, p.head...), []byte("x"))
			if string(out) != "x" || records != 0 || len(refused) != 1 || refused[0].Index != 0 {
				t.Fatalf("%d records, %q, refused %v", records, out, refused)
			}
			if refused[0].Reason != p.reason {
				t.Errorf("got  %s\nwant %s", refused[0].Reason, p.reason)
			}
		})
	}
}

// Every kind of poison that is one line of JSON or one event of a batch leaves
// the events around it alone.
func TestPoisonDoesNotHarmItsNeighbours(t *testing.T) {
	d := newTestDecoder(FormatAuto)
	lines := 0
	for _, p := range poison {
		if len(p.head) > 0 || !strings.HasPrefix(p.value, "{") || bytes.ContainsAny([]byte(p.value), "\n") {
			continue
		}
		lines++
		out, records, refused := d.Decode(message("{\"topic\":\"a\"}\n"+p.value+"\n{\"topic\":\"b\"}\n"), nil)
		if got := describe(out, refused); got != "a b !1" || records != 2 {
			t.Errorf("%s: %s", p.name, got)
		}
	}
	events := 0
	for _, p := range poison {
		if len(p.value) == 0 || p.value[0] != 0x12 && p.value[0] != 0x2a || len(p.head) > 0 {
			continue
		}
		events++
		good := protobuf(&eventpb.EventBatch{Events: []*eventpb.Event{{Topic: "a"}}})
		out, records, refused := d.Decode(message(good+"\x1a"+string([]byte{byte(len(p.value))})+p.value+good), nil)
		if got := describe(out, refused); got != "a a !1" || records != 2 {
			t.Errorf("%s: %s", p.name, got)
		}
	}
	if lines < 25 || events < 8 {
		t.Errorf("only %d lines and %d events", lines, events)
	}
}

// A reason is read by people and goes into a header: it is one line of text.
func TestReasonsOfMessagesAreLines(t *testing.T) {
	for _, p := range poison {
		_, _, refused := newTestDecoder(FormatAuto).Decode(message(p.value, p.head...), nil)
		for _, r := range refused {
			if strings.ContainsFunc(r.Reason, func(c rune) bool { return c < ' ' || c == 0x7f }) || len(r.Reason) > 300 {
				t.Errorf("%s: %q", p.name, r.Reason)
			}
		}
	}
}

// The bound that a message carries holds, not one of the decoder's.
func TestLatestIsTheMessages(t *testing.T) {
	d := newTestDecoder(FormatAuto)
	m := message(`{"topic":"a","timestamp":1762000301}`)
	for _, ahead := range []messages.Micros{300 * messages.Second, 301 * messages.Second} {
		m.Latest = m.Stamp + ahead
		if _, records, refused := d.Decode(m, nil); records != int(ahead/messages.Second-300) {
			t.Errorf("%v ahead: %d records, %v", ahead.Duration(), records, refused)
		}
	}
}
