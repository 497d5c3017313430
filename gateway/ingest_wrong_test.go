package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/messages"
)

// nested is an event with an array nested so that it has the given levels.
func nested(levels int) string {
	return `{"topic":"a","x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
}

func TestWrongEventsAreRefusedAndNotCounted(t *testing.T) {
	for _, c := range []struct {
		name, event string
		reason      string // part of it
	}{
		{"no topic", `{}`, "topic: missing"},
		{"null topic", `{"topic":null}`, "topic: null"},
		{"empty topic", `{"topic":""}`, "topic: empty; want 1 to 512 bytes"},
		{"topic of 513 bytes", `{"topic":"` + strings.Repeat("x", 513) + `"}`, "has 513 bytes; at most 512 are allowed"},
		{"number as topic", `{"topic":5}`, "topic: 5; want a string"},
		{"object as topic", `{"topic":{}}`, "topic: an object; want a string"},
		{"NUL in topic", `{"topic":"a\u0000b"}`, "control characters"},
		{"DEL in topic", "{\"topic\":\"a\x7f\"}", "control characters"},
		{"C1 in topic", `{"topic":"a\u0085"}`, "control characters"},
		{"video_id with C1", "{\"video_id\":\"a\xc2\x9f\"}", "video_id: "},
		{"control in event_id", `{"topic":"a","event_id":"\n"}`, "event_id: "},
		{"empty event_id", `{"topic":"a","event_id":""}`, "event_id: empty"},
		{"number as event_id", `{"topic":"a","event_id":7}`, "event_id: 7; want a string"},
		{"number as category", `{"topic":"a","category":7}`, "category: 7; want a string"},
		{"region of 256 bytes", `{"topic":"a","region":"` + strings.Repeat("r", 256) + `"}`, "region: "},
		{"array as lang", `{"topic":"a","lang":[]}`, "lang: an array"},
		{"fraction as user", `{"topic":"a","user_id":1.5}`, "user_id: 1.5; want a string or an integer"},
		{"negative count", `{"topic":"a","count":-1}`, "count: -1; want an integer from 1 to 2147483648"},
		{"zero count", `{"topic":"a","count":0}`, "count: 0"},
		{"float count", `{"topic":"a","count":1.0}`, "count: 1.0"},
		{"exponent count", `{"topic":"a","weight":1e3}`, "weight: 1e3"},
		{"count as string", `{"topic":"a","count":"1"}`, `count: "1"`},
		{"count of 2^31+1", `{"topic":"a","count":2147483649}`, "count: 2147483649"},
		{"count of 40 digits", `{"topic":"a","count":1000000000000000000000000000000000000000}`, "count: "},
		{"timestamp -1", `{"topic":"a","timestamp":-1}`, "timestamp: -1; want"},
		{"timestamp 1e17", `{"topic":"a","ts":1e17}`, "ts: 1e17; want"},
		{"timestamp in year 9999", `{"topic":"a","timestamp":"9999-12-31T23:59:59Z"}`, "ahead of the clock; at most 5m0s is allowed"},
		{"timestamp before 1970", `{"topic":"a","timestamp":"1969-12-31T23:59:59Z"}`, "lies before 1970"},
		{"timestamp 6 minutes ahead", `{"topic":"a","timestamp":1762000360}`, "lies 6m0s ahead of the clock"},
		{"timestamp without zone", `{"topic":"a","timestamp":"2025-11-01T00:00:00"}`, "want RFC 3339"},
		{"timestamp on 30 February", `{"topic":"a","timestamp":"2025-02-30T00:00:00Z"}`, "want RFC 3339"},
		{"timestamp as boolean", `{"topic":"a","timestamp":true}`, "timestamp: true"},
		{"topic twice", `{"topic":"a","topic":"a"}`, "topic: given twice"},
		{"topic and video_id", `{"topic":"a","video_id":"a"}`, "video_id: given twice"},
		{"category twice over metadata", `{"topic":"a","category":"x","metadata":{"category":"x"}}`, "metadata.category: given twice"},
		{"other key twice", `{"topic":"a","x":1,"x":1}`, "x: given twice"},
		{"key twice further in", `{"topic":"a","x":[{"y":1,"\u0079":1}]}`, "y: given twice"},
		{"case variant", `{"Topic":"a"}`, `"Topic": the key is topic`},
		{"case variant in metadata", `{"topic":"a","metadata":{"REGION":"x"}}`, `"REGION": the key is region`},
		{"too much kept", `{"topic":"a","x":"` + strings.Repeat("y", 64<<10) + `"}`, "take more than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, func(cfg *ingestConfig) { cfg.MaxBody, cfg.MaxInFlight = 128<<10, 2<<20 })
			re := it.send(eventsPath, c.event, typeHeader, jsonBody)
			if re.status != 422 || re.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("one object: %d %s", re.status, re.body)
			}
			reason := re.fields["errors"].([]any)[0].(map[string]any)["reason"].(string)
			if !strings.Contains(reason, c.reason) {
				t.Fatalf("reason %q, want %q in it", reason, c.reason)
			}
			batch := it.send(eventsPath, c.event+"\n", typeHeader, ndjsonBody)
			if batch.status != 422 || batch.fields["accepted"] != 0.0 || batch.fields["rejected"] != 1.0 || batch.fields["detail"] == nil {
				t.Fatalf("batch: %d %s", batch.status, batch.body)
			}
			if n := it.node.frameCount(); n != 0 {
				t.Fatalf("%d frames in the log", n)
			}
			mixed := it.send(eventsPath, `[`+c.event+`,{"topic":"good"}]`, typeHeader, jsonBody)
			if mixed.status != 200 || mixed.fields["status"] != "partial" || len(it.node.records()) != 1 {
				t.Fatalf("mixed: %d %s", mixed.status, mixed.body)
			}
		})
	}
}

func TestBrokenTextIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		name, text string
		column     int
		reason     string
	}{
		{"not closed", `{"topic":"a"`, 13, "ends too early"},
		{"no value", `{"topic":}`, 10, "want a value"},
		{"comma at the end", `{"topic":"a",}`, 14, "want a key"},
		{"single quotes", `{'topic':'a'}`, 2, "want a key"},
		{"trailing garbage", `{"topic":"a"} x`, 15, "want"},
		{"two values", `{"topic":"a"}{"topic":"b"}`, 14, "want"},
		{"invalid UTF-8", "{\"topic\":\"\u00e9\xff\"}", 12, "invalid UTF-8"},
		{"overlong UTF-8", "{\"topic\":\"\xc0\x80\"}", 11, "invalid UTF-8"},
		{"surrogate in UTF-8", "{\"topic\":\"\xed\xa0\x80\"}", 11, "invalid UTF-8"},
		{"lone surrogate", `{"topic":"\ud800"}`, 11, "surrogates in pairs"},
		{"unknown escape", `{"topic":"\x41"}`, 11, "not an escape"},
		{"raw control character", "{\"topic\":\"\t\"}", 11, "must be escaped"},
		{"leading zero", `{"topic":"a","x":01}`, 18, "leading zeros"},
		{"NaN", `{"topic":"a","x":NaN}`, 18, "want a value"},
		{"Infinity", `{"topic":"a","x":-Infinity}`, 19, "want a digit"},
		{"nested 33 deep", nested(33), 49, "nested deeper than 32 levels"},
		{"comment", `{"topic":"a"/**/}`, 13, "want , or }"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			re := it.send(eventsPath, "\n"+c.text, typeHeader, jsonBody)
			if re.status != 400 || re.fields["line"] != 2.0 || re.fields["column"] != float64(c.column) || !strings.Contains(re.fields["detail"].(string), c.reason) {
				t.Errorf("JSON: %d %s", re.status, re.body)
			}
			lines := it.send(eventsPath, "\r\n"+c.text+"\r\n"+`{"topic":"good"}`, typeHeader, ndjsonBody)
			var answer struct {
				Accepted, Rejected int
				Errors             []struct {
					Index, Line, Column int
					Reason              string
				}
			}
			if err := json.Unmarshal([]byte(lines.body), &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Accepted != 1 || answer.Rejected != 1 || answer.Errors[0].Index != 0 || answer.Errors[0].Line != 2 || answer.Errors[0].Column != c.column {
				t.Errorf("NDJSON: %d %s", lines.status, lines.body)
			}
			if n := len(it.node.records()); n != 1 {
				t.Errorf("%d records, want 1", n)
			}
		})
	}
}

func TestAsDeepAsAllowed(t *testing.T) {
	it := newIngestTest(t, nil)
	if re := it.send(eventsPath, nested(32), typeHeader, jsonBody); re.status != 200 {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

func TestMalformedLine517IsNamed(t *testing.T) {
	it := newIngestTest(t, nil)
	var body strings.Builder
	for i := range 1000 {
		if i == 516 {
			body.WriteString("{\"topic\":\"b\",,}\n")
			continue
		}
		fmt.Fprintf(&body, "{\"topic\":\"t%d\"}\n", i)
	}
	re := it.send(eventsPath, body.String(), typeHeader, ndjsonBody)
	want := `"errors":[{"index":516,"line":517,"column":14,"reason":"want a key in double quotes"}]`
	if re.status != 200 || re.fields["accepted"] != 999.0 || !strings.Contains(re.body, want) {
		t.Fatalf("%d %s", re.status, re.body)
	}
	if n := len(it.node.records()); n != 999 {
		t.Fatalf("%d records in the log", n)
	}
}

func TestOnlyTheFirst100RejectionsAreNamedButAllCounted(t *testing.T) {
	it := newIngestTest(t, nil)
	re := it.send(eventsPath, strings.Repeat("{}\n", 250), typeHeader, ndjsonBody)
	if re.status != 422 || re.fields["rejected"] != 250.0 || len(re.fields["errors"].([]any)) != 100 {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

func TestWrongRequestsAreRefused(t *testing.T) {
	good := `{"topic":"a"}`
	for _, c := range []struct {
		name, path, body string
		headers          []string
		status           int
		detail           string
	}{
		{"unknown parameter", eventsPath + "?acks=none", good, []string{typeHeader, jsonBody}, 400, "acks"},
		{"unknown ack", eventsPath + "?ack=all", good, []string{typeHeader, jsonBody}, 400, "durable or none"},
		{"ack twice", eventsPath + "?ack=none&ack=none", good, []string{typeHeader, jsonBody}, 400, "once"},
		{"empty body", eventsPath, "", []string{typeHeader, jsonBody}, 400, "holds no event"},
		{"blank body", eventsPath, " \n ", []string{typeHeader, jsonBody}, 400, "holds no event"},
		{"empty body without type", eventsPath, "", nil, 400, "holds no event"},
		{"blank lines", eventsPath, "\n\n", []string{typeHeader, ndjsonBody}, 400, "holds no event"},
		{"empty array", eventsPath, "[]", []string{typeHeader, jsonBody}, 400, "holds no event"},
		{"empty msgpack", eventsPath, "", []string{typeHeader, packBody}, 400, "holds no event"},
		{"empty msgpack array", eventsPath, "\x90", []string{typeHeader, packBody}, 400, "holds no event"},
		{"a number", eventsPath, "5", []string{typeHeader, jsonBody}, 400, "want an event or an array"},
		{"lines sent as JSON", eventsPath, good + "\n" + good, []string{typeHeader, jsonBody}, 400, "application/x-ndjson"},
		{"form type of curl", eventsPath, good, []string{typeHeader, "application/x-www-form-urlencoded"}, 415, "add -H"},
		{"unknown type", eventsPath, good, []string{typeHeader, "text/csv"}, 415, "application/x-ndjson"},
		{"broken type", eventsPath, good, []string{typeHeader, "application/json; charset"}, 415, "want one of"},
		{"other charset", eventsPath, good, []string{typeHeader, "application/json; charset=utf-16"}, 415, "UTF-8"},
		{"unknown encoding", eventsPath, good, []string{typeHeader, jsonBody, "Content-Encoding", "br"}, 415, "gzip, zstd"},
		{"two encodings", eventsPath, good, []string{typeHeader, jsonBody, "Content-Encoding", "gzip, gzip"}, 415, "gzip, zstd"},
		{"empty key", eventsPath, good, []string{typeHeader, jsonBody, "Idempotency-Key", ""}, 400, "1 to 128"},
		{"long key", eventsPath, good, []string{typeHeader, jsonBody, "Idempotency-Key", strings.Repeat("k", 129)}, 400, "1 to 128"},
		{"key with control characters", eventsPath, good, []string{typeHeader, jsonBody, "Idempotency-Key", "a\x01"}, 400, "printable"},
		{"key beyond ASCII", eventsPath, good, []string{typeHeader, jsonBody, "Idempotency-Key", "é"}, 400, "printable"},
		{"two keys", eventsPath, good, []string{typeHeader, jsonBody, "Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "one key"},
		{"truncated msgpack", eventsPath, "\x81\xa5top", []string{typeHeader, packBody}, 400, "byte 1: announces 5 bytes"},
		{"msgpack with bytes behind it", eventsPath, "\x91\x81\xa5topic\xa1a\xc0", []string{typeHeader, packBody}, 400, "byte 10: nothing may follow"},
		{"msgpack that announces 4 G values", eventsPath, "\xdd\xff\xff\xff\xff", []string{typeHeader, packBody}, 400, "byte 0: announces 4294967295"},
		{"msgpack that announces 4 G keys", eventsPath, "\xdf\xff\xff\xff\xff\xa1a", []string{typeHeader, packBody}, 400, "byte 0: announces 4294967295 keys"},
		{"msgpack with invalid UTF-8", eventsPath, "\x81\xa5topic\xa2\xc3\x28", []string{typeHeader, packBody}, 400, "byte 8: invalid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			re := it.send(c.path, c.body, c.headers...)
			if re.status != c.status || !strings.Contains(re.fields["detail"].(string), c.detail) {
				t.Fatalf("%d %s", re.status, re.body)
			}
			if n := it.node.frameCount(); n != 0 {
				t.Fatalf("%d frames in the log", n)
			}
			switch {
			case c.status == 415 && strings.Contains(c.detail, "gzip"):
				if re.header.Get("Accept-Encoding") == "" {
					t.Error("no Accept-Encoding")
				}
			case c.status == 415:
				if re.header.Get("Accept-Post") == "" {
					t.Error("no Accept-Post")
				}
			}
		})
	}
}

func TestWrongMsgpackEventsAreRefused(t *testing.T) {
	type m = map[string]any
	for _, c := range []struct {
		name   string
		event  any
		reason string
	}{
		{"float count", m{"topic": "a", "count": 1.0}, "count: 1.0; want an integer"},
		{"count as string", m{"topic": "a", "count": "1"}, `count: "1"`},
		{"integer key", map[any]any{1: 2}, "a key is an integer; keys must be strings"},
		{"integer as event", 5, "an event must be a map, not an integer"},
		{"binary topic that is no UTF-8", m{"topic": []byte{0xff}}, "topic: binary data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			var body bytes.Buffer
			if err := msgpack.NewEncoder(&body).Encode([]any{c.event, m{"topic": "good"}}); err != nil {
				t.Fatal(err)
			}
			re := it.send(eventsPath, body.String(), typeHeader, packBody)
			reason := re.fields["errors"].([]any)[0].(map[string]any)["reason"].(string)
			if re.status != 200 || re.fields["accepted"] != 1.0 || !strings.Contains(reason, c.reason) {
				t.Fatalf("%d %s", re.status, re.body)
			}
		})
	}
}

func TestTheEngineRefusesBeforeAnythingIsAppended(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*fakeNode)
		status int
		retry  string
	}{
		{"behind", func(n *fakeNode) { n.admitErr = &messages.RefusedError{Reason: "behind", RetryAfter: 7e9} }, 429, "7"},
		{"replaying", func(n *fakeNode) { n.readyErr = messages.ErrNotReady }, 503, "1"},
		{"partition failed", func(n *fakeNode) { n.admitErr = messages.ErrPartition }, 503, "10"},
		{"too large", func(n *fakeNode) { n.appendErr = fmt.Errorf("append: %w", messages.ErrTooLarge) }, 413, ""},
		{"log stopped", func(n *fakeNode) { n.appendErr = fmt.Errorf("full: %w", messages.ErrStopped) }, 503, "10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			it.node.set(c.change)
			re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody)
			if re.status != c.status || re.header.Get("Retry-After") != c.retry || it.node.frameCount() != 0 {
				t.Fatalf("%d %v %s", re.status, re.header, re.body)
			}
		})
	}
}

func TestAdmitIsToldOfIDs(t *testing.T) {
	it := newIngestTest(t, nil)
	it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody)
	it.send(eventsPath, `{"topic":"a","event_id":"1"}`, typeHeader, jsonBody)
	it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, "Idempotency-Key", "k")
	if got := fmt.Sprint(it.node.admitted); got != "[false true true]" {
		t.Fatal(got)
	}
}

func TestAliasesOfTheTypeAreTaken(t *testing.T) {
	it := newIngestTest(t, nil)
	for _, name := range []string{"application/json; charset=UTF-8", "APPLICATION/JSON", "application/ndjson", "application/jsonl"} {
		if re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, name); re.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, re.status, re.body)
		}
	}
}
