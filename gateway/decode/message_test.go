package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

const testLatest = testStamp + 5*messages.Minute

func newTestDecoder(f Format) *MessageDecoder {
	return NewMessageDecoder(MessageConfig{Format: f, UserKey: [2]uint64{1, 2}})
}

// message is a value with headers, given as key, value, key, value …
func message(value string, headers ...string) *messages.Message {
	m := &messages.Message{Value: []byte(value), Stamp: testStamp, Latest: testLatest}
	for kv := range slices.Chunk(headers, 2) {
		m.Headers = append(m.Headers, messages.Header{Key: []byte(kv[0]), Value: []byte(kv[1])})
	}
	return m
}

func pack(values ...any) string {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.SetSortMapKeys(true)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			panic(err)
		}
	}
	return b.String()
}

func protobuf(m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// describe is what became of a message, in words.
func describe(out []byte, refused []messages.Refusal) string {
	var s []string
	for len(out) > 0 {
		var r messages.Record
		rest, err := r.ReadFrom(out)
		if err != nil {
			return err.Error()
		}
		word := string(r.Topic)
		if len(r.ID) > 0 {
			word += "#" + string(r.ID)
		}
		if r.HasTime {
			word += fmt.Sprintf("@%d", (r.Time-testStamp)/messages.Second)
		}
		if len(r.Category) > 0 {
			word += "(" + string(r.Category) + ")"
		}
		if len(r.Extra) > 0 {
			word += "{" + string(r.Extra) + "}"
		}
		s, out = append(s, word), rest
	}
	for _, r := range refused {
		s = append(s, fmt.Sprintf("!%d", r.Index))
	}
	return strings.Join(s, " ")
}

const cloudEvents = "application/cloudevents+json"

// ce is an envelope around a JSON value.
func ce(data string) string {
	return `{"specversion":"1.0","id":"7","source":"/s","type":"t","time":"2025-11-01T12:26:30Z","data":` + data + `}`
}

var (
	typicalProto = &eventpb.Event{Topic: "a", Timestamp: proto.Int64(1_761_999_990), EventId: "e", Category: "c", SessionId: "s", WatchTimeSec: proto.Float64(1.5), Attributes: map[string]string{"q": "720p"}}
	protoBatch   = &eventpb.EventBatch{Events: []*eventpb.Event{{Topic: "a"}, {}, {VideoId: "b"}}}
)

// forms are the ways in which a message may say what happened.
var forms = []struct {
	name   string
	format Format
	value  string
	head   []string
	want   string
}{
	{"a video event with epoch milliseconds", 0, `{"video_id":"a","userId":"u","timestamp":1761999990000,"watch_time_sec":3,"quality":"720p"}`, nil, `a@-10{"quality":"720p"}`},
	{"a topic event with metadata", 0, `{"topic":"a","timestamp":"2025-11-01T12:26:30Z","metadata":{"category":"c","region":"R","lang":"de"},"x":1}`, nil, `a@-10(c){"lang":"de","x":1}`},
	{"an array", 0, ` [{"topic":"a"},{"topic":1},{"topic":"b"}] `, nil, `a b !1`},
	{"lines", 0, "{\"topic\":\"a\"}\r\n\n{\"topic\":\"b\"}\n", nil, `a b`},
	{"lines, one of them broken", 0, "{\"topic\":\"a\"}\n{\"topic\":\n{\"topic\":\"b\"}", nil, `a b !1`},
	{"lines, the first broken", 0, "{\"topic\"\n{\"topic\":\"b\"}", nil, `b !0`},
	{"lines, the first no JSON", 0, "topic=a\n{\"topic\":\"b\"}", nil, `b !0`},
	{"lines, the last no JSON", 0, "{\"topic\":\"a\"}\nend of file", nil, `a !1`},
	{"an object over several lines", 0, "{\n\"topic\": \"a\",\n\"metadata\":\n{\n\"category\": \"c\"\n}\n}\n", nil, `a(c)`},
	{"a byte order mark", 0, "\xef\xbb\xbf{\"topic\":\"a\"}", nil, `a`},
	{"a map of msgpack", 0, pack(map[string]any{"topic": "a", "category": "c"}), nil, `a(c)`},
	{"maps of msgpack", 0, pack(map[string]any{"topic": "a"}, map[string]any{}, map[string]any{"topic": "b"}), nil, `a b !1`},
	{"an array of msgpack", 0, pack([]any{map[string]any{"topic": "a"}, 1}), nil, `a !1`},
	{"protobuf", 0, protobuf(typicalProto), nil, `a#e@-10(c){"session_id":"s","q":"720p"}`},
	{"protobuf, a batch", 0, protobuf(protoBatch), nil, `a b !1`},
	{"protobuf of a video", 0, protobuf(&eventpb.Event{VideoId: "v"}), nil, `v`},
	{"protobuf by header", 0, protobuf(typicalProto), []string{"content-type", "application/x-protobuf; proto=crest.v1.Event"}, `a#e@-10(c){"session_id":"s","q":"720p"}`},
	{"protobuf with fields of a later schema", 0, protobuf(&eventpb.Event{Topic: "a"}) + "\xa0\x06\x01", nil, `a`},

	{"JSON by header", 0, `{"topic":"a"}`, []string{"Content-Type", "Application/JSON; charset=utf-8"}, `a`},
	{"JSON by another header", 0, `{"topic":"a"}`, []string{"x", "y", "content-type", "application/vnd.acme.view+json"}, `a`},
	{"lines by header", 0, `{"topic":"a"}`, []string{"content-type", "application/x-ndjson"}, `a`},
	{"msgpack by header", 0, pack(map[string]any{"topic": "a"}), []string{"content-type", "application/msgpack"}, `a`},
	{"a header that says nothing", 0, pack(map[string]any{"topic": "a"}), []string{"content-type", "application/octet-stream"}, `a`},

	{"CloudEvents by header", 0, ce(`{"topic":"a"}`), []string{"content-type", cloudEvents}, `a#/s/7@-10`},
	{"CloudEvents by content", 0, ce(`{"topic":"a"}`), nil, `a#/s/7@-10`},
	{"CloudEvents said to be JSON", 0, ce(`{"topic":"a"}`), []string{"content-type", "application/json"}, `a#/s/7@-10`},
	{"CloudEvents, the event has its own time and id", 0, ce(`{"topic":"a","event_id":"own","ts":1761999999}`), nil, `a#own@-1`},
	{"CloudEvents, data first", 0, `{"data":{"topic":"a","source":"app"},"specversion":"1.0","source":"/s","id":"7"}`, nil, `a#/s/7{"source":"app"}`},
	{"CloudEvents, a batch", 0, "[" + ce(`{"topic":"a"}`) + "," + ce(`{}`) + "]", []string{"content-type", "application/cloudevents-batch+json"}, `a#/s/7@-10 !1`},
	{"CloudEvents, lines", 0, ce(`{"topic":"a"}`) + "\n{\"topic\":\"b\"}\n" + ce(`7`), nil, `a#/s/7@-10 b !2`},
	{"CloudEvents, base64", 0, `{"specversion":"1.0","id":"7","source":"/s","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(`{"topic":"a"}`)) + `"}`, nil, `a#/s/7`},
	{"CloudEvents, base64 of msgpack", 0, `{"specversion":"1.0","id":"7","source":"/s","datacontenttype":"application/msgpack","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(pack(map[string]any{"topic": "a"}))) + `"}`, nil, `a#/s/7`},
	{"CloudEvents, base64 of protobuf", 0, `{"specversion":"1.0","id":"7","source":"/s","datacontenttype":"application/protobuf","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(protobuf(typicalProto))) + `"}`, nil, `a#e@-10(c){"session_id":"s","q":"720p"}`},
	{"CloudEvents by headers", 0, `{"topic":"a"}`, []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s", "ce_type", "t", "ce_time", "2025-11-01T12:26:30Z", "content-type", "application/json"}, `a#/s/7@-10`},
	{"CloudEvents by headers, protobuf", 0, protobuf(&eventpb.Event{Topic: "a"}), []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s"}, `a#/s/7`},
	{"CloudEvents by headers, lines", 0, "{\"topic\":\"a\"}\n{\"topic\":\"a\"}\n", []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s"}, `a#/s/7 a#/s/7/1`},
	{"CloudEvents by headers, a line that is none", 0, "{\"topic\":\"a\"}\nx", []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s"}, `a#/s/7 !1`},
	{"CloudEvents by headers, specversion is a key like any other", 0, `{"specversion":"1.0","topic":"a","data":1}`, []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s"}, `a#/s/7{"specversion":"1.0","data":1}`},
	{"an event that begins with a specversion", 0, `{"specversion":"1.0","topic":"a","id":"x"}`, nil, `a{"specversion":"1.0","id":"x"}`},
	{"an envelope with a topic of its own", 0, `{"specversion":"1.0","topic":"b","id":"7","source":"/s","data":{"topic":"a"}}`, nil, `a#/s/7`},
	{"an object over several lines, and more lines", 0, "{\n\"topic\": \"a\"\n}\n{\"topic\":\"b\"}\n\nx", nil, `a b !2`},
	{"an event that has a specversion", 0, `{"topic":"a","specversion":"3"}`, nil, `a{"specversion":"3"}`},

	{"a schema registry's JSON", 0, "\x00\x00\x00\x01\x02{\"topic\":\"a\"}", nil, `a`},
	{"a schema registry's protobuf, the first message", 0, "\x00\x00\x00\x01\x02\x00" + protobuf(&eventpb.Event{Topic: "a"}), nil, `a`},
	{"a schema registry's protobuf, the second message", 0, "\x00\x00\x00\x01\x02\x02\x02" + protobuf(protoBatch), nil, `a b !1`},

	{"a schema registry's JSON by header", 0, "\x00\x00\x00\x01\x02{\"topic\":\"a\"}", []string{"content-type", "application/json"}, `a`},
	{"a schema registry's protobuf alone", FormatProtobuf, "\x00\x00\x00\x01\x02\x02\x02" + protobuf(protoBatch), nil, `a b !1`},
	{"JSON alone", FormatJSON, `{"topic":"a"}`, []string{"content-type", "application/x-protobuf"}, `a`},
	{"JSON alone takes no envelopes", FormatJSON, `{"topic":"a","specversion":"1.0","data":1}`, []string{"ce_specversion", "1.0"}, `a{"specversion":"1.0","data":1}`},
	{"lines alone", FormatNDJSON, "x\n{\"topic\":\"a\"}", nil, `a !0`},
	{"msgpack alone", FormatMsgpack, pack(map[string]any{"topic": "a"}), nil, `a`},
	{"protobuf alone", FormatProtobuf, protobuf(typicalProto), nil, `a#e@-10(c){"session_id":"s","q":"720p"}`},
	{"protobuf alone, out of order", FormatProtobuf, "\x32\x01u" + protobuf(typicalProto), nil, `a#e@-10(c){"session_id":"s","q":"720p"}`},
	{"CloudEvents alone", FormatCloudEvents, ce(`{"topic":"a"}`) + "\n" + ce(`{"topic":"b"}`), nil, `a#/s/7@-10 b#/s/7@-10`},
	{"CloudEvents alone, by headers", FormatCloudEvents, `{"topic":"a"}`, []string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s"}, `a#/s/7`},
}

func TestFormsOfMessages(t *testing.T) {
	for _, c := range forms {
		t.Run(c.name, func(t *testing.T) {
			before := []byte("what was there")
			out, records, refused := newTestDecoder(c.format).Decode(message(c.value, c.head...), before)
			out, found := bytes.CutPrefix(out, before)
			if !found {
				t.Fatalf("%q is not behind %q", out, before)
			}
			if got := describe(out, refused); got != c.want {
				t.Errorf("got %s, want %s\n%v", got, c.want, refused)
			}
			if n := len(strings.Fields(c.want)) - len(refused); records != n {
				t.Errorf("%d records, want %d", records, n)
			}
		})
	}
}

// What is left of one message must not reach the next.
func TestMessagesDoNotMeet(t *testing.T) {
	decoders := map[Format]*MessageDecoder{}
	for range 2 {
		for _, c := range forms {
			if decoders[c.format] == nil {
				decoders[c.format] = newTestDecoder(c.format)
			}
			out, _, refused := decoders[c.format].Decode(message(c.value, c.head...), nil)
			if got := describe(out, refused); got != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
			for _, p := range poison {
				out, _, refused := decoders[c.format].Decode(message(p.value, p.head...), nil)
				if c.format == FormatAuto && (len(out) > 0 || len(refused) != 1 || refused[0].Reason != p.reason) {
					t.Errorf("%s behind %s: %s, %v", p.name, c.name, describe(out, nil), refused)
				}
			}
		}
	}
}

func TestUsersOfMessagesAreHashedUnlessKept(t *testing.T) {
	for _, keep := range []bool{false, true} {
		d := NewMessageDecoder(MessageConfig{UserKey: [2]uint64{1, 2}, KeepUserIDs: keep})
		for _, m := range []*messages.Message{message(`{"topic":"a","user_id":"17"}`), message(protobuf(&eventpb.Event{Topic: "a", UserId: "17"}))} {
			out, _, _ := d.Decode(m, nil)
			var r messages.Record
			if _, err := r.ReadFrom(out); err != nil {
				t.Fatal(err)
			}
			if keep && (string(r.User) != "17" || !r.UserPlain) || !keep && len(r.User) != messages.UserHashLength {
				t.Errorf("keep %v: %q", keep, r.User)
			}
		}
	}
}

func TestFormatNames(t *testing.T) {
	for f := FormatAuto; f <= FormatCloudEvents; f++ {
		if g, err := ParseFormat(f.String()); err != nil || g != f {
			t.Errorf("%v: %v %v", f, g, err)
		}
	}
	if f, err := ParseFormat(""); err != nil || f != FormatAuto {
		t.Errorf("nothing is %v %v", f, err)
	}
	if _, err := ParseFormat("avro"); err == nil || !strings.Contains(err.Error(), "msgpack") {
		t.Errorf("%v", err)
	}
}

// A message full of wrong events has few texts and few refusals, which stand for
// all of them.
func TestManyRefusalsStayCheap(t *testing.T) {
	const lines = 50_000
	out, records, refused := newTestDecoder(FormatAuto).Decode(message(strings.Repeat("{}\n", lines)+`{"topic":"a"}`), nil)
	if records != 1 || len(refused) != MaxReasons+1 || messages.RefusedEvents(refused) != lines || describe(out, nil) != "a" {
		t.Fatalf("%d records, %d refusals of %d events", records, len(refused), messages.RefusedEvents(refused))
	}
	for i, r := range refused {
		want := fmt.Sprintf("line %d: topic: missing", i+1)
		if i >= MaxReasons {
			want = fewReasons
		}
		if r.Index != i || r.Reason != want || i < MaxReasons && r.More != 0 {
			t.Fatalf("%d: %+v, want %s", i, r, want)
		}
	}
}

// A message of nothing but wrong values, two bytes or one each, takes little
// memory to refuse. Compressed it is a few kilobytes.
func TestABombOfWrongValuesAllocatesLittle(t *testing.T) {
	const values = 1_000_000
	for name, v := range map[string][]byte{
		"json":    append(append([]byte("[1"), bytes.Repeat([]byte(",1"), values-1)...), ']'),
		"msgpack": append(binary.BigEndian.AppendUint32([]byte{0xdd}, values), bytes.Repeat([]byte{0xc0}, values)...),
	} {
		d := newTestDecoder(FormatAuto)
		m := &messages.Message{Value: v, Stamp: testStamp, Latest: testLatest}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, records, refused := d.Decode(m, nil)
		runtime.ReadMemStats(&after)
		if records != 0 || messages.RefusedEvents(refused) != values {
			t.Errorf("%s: %d records, %d events refused: want 0 and %d", name, records, messages.RefusedEvents(refused), values)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 20*values { // a refusal of each would be three times that
			t.Errorf("%s: %d bytes allocated for a message of %d", name, n, len(v))
		}
	}
}
