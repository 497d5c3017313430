package input_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/messages"
)

var stampTime = time.Date(2024, 5, 6, 7, 8, 9, 120_000_000, time.UTC)

func TestJSONStampIsFoundAndReplaced(t *testing.T) {
	at := messages.MicrosOf(stampTime)
	for _, c := range []struct {
		data, want string // want: with the time replaced by 5; "" if there is none
		time       messages.Micros
	}{
		{`{"topic":"a","timestamp":1714979289,"x":1}`, `{"topic":"a","timestamp":5,"x":1}`, at.Floor(messages.Second)},
		{`{"timestamp":1714979289120}`, `{"timestamp":5}`, at},
		{`{"ts":1714979289120000}`, `{"ts":5}`, at},
		{`{"ts":1714979289.12}`, `{"ts":5}`, at},
		{`{ "ts" : "2024-05-06T07:08:09.12Z" , "a":1}`, `{ "ts" : 5 , "a":1}`, at},
		{`{"timestamp":"2024-05-06T09:08:09.12+02:00"}`, `{"timestamp":5}`, at},
		{`{"a":{"ts":1},"b":["}",{"ts":2}],"c":"\"ts\":3","ts":4}`, `{"a":{"ts":1},"b":["}",{"ts":2}],"c":"\"ts\":3","ts":5}`, 4 * messages.Second},
		{`{"t\u0073":4}`, `{"t\u0073":5}`, 4 * messages.Second},
		{`{"topic":"a"}`, "", 0},
		{`{"ts":-1}`, "", 0},
		{`{"ts":null}`, "", 0},
		{`{"ts":1e17}`, "", 0},
		{`{"ts":"yesterday"}`, "", 0},
		{`{"ts":`, "", 0},
		{`{"ts"`, "", 0},
		{`{"ts`, "", 0},
		{`{"a" 1,"ts":1}`, "", 0},
		{`[{"ts":1}]`, "", 0},
		{``, "", 0},
		{`{`, "", 0},
		{`nonsense`, "", 0},
	} {
		s, ok := input.FindStamp([]byte(c.data), input.NDJSON)
		if ok != (c.want != "") {
			t.Errorf("%s: found %v", c.data, ok)
			continue
		}
		if !ok {
			continue
		}
		if s.Time != c.time {
			t.Errorf("%s: got %v, want %v", c.data, s.Time.Time(), c.time.Time())
		}
		if got := s.Replace(nil, []byte(c.data), input.NDJSON, 5); string(got) != c.want {
			t.Errorf("%s: got %s, want %s", c.data, got, c.want)
		}
	}
}

func TestMsgpackStampIsFoundAndReplaced(t *testing.T) {
	at := messages.MicrosOf(stampTime)
	for name, c := range map[string]struct {
		value any
		time  messages.Micros
		ok    bool
	}{
		"seconds":          {1714979289, at.Floor(messages.Second), true},
		"milliseconds":     {int64(1714979289120), at, true},
		"microseconds":     {uint64(1714979289120000), at, true},
		"small":            {int8(7), 7 * messages.Second, true},
		"float":            {1714979289.12, at, true},
		"single":           {float32(1), messages.Second, true},
		"text":             {"2024-05-06T07:08:09.12Z", at, true},
		"msgpack's own":    {stampTime, at, true},
		"negative":         {-1, 0, false},
		"too large":        {uint64(1<<64 - 1), 0, false},
		"nothing":          {nil, 0, false},
		"a map":            {map[string]any{"ts": 1}, 0, false},
		"a word":           {"yesterday", 0, false},
		"something binary": {[]byte("x"), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			enc := msgpack.NewEncoder(&b)
			for _, v := range []any{"deep", map[string]any{"ts": 1}, "ts", c.value, "topic", "a"} {
				if err := enc.Encode(v); err != nil {
					t.Fatal(err)
				}
			}
			data := append([]byte{0x83}, b.Bytes()...)
			s, ok := input.FindStamp(data, input.Msgpack)
			if ok != c.ok || ok && s.Time != c.time {
				t.Fatalf("got %v, %v; want %v, %v", s.Time, ok, c.time, c.ok)
			}
			if !ok {
				return
			}
			var got map[string]any
			if err := msgpack.Unmarshal(s.Replace(nil, data, input.Msgpack, 5), &got); err != nil {
				t.Fatal(err)
			}
			if got["ts"] != int64(5) || got["topic"] != "a" || len(got) != 3 {
				t.Errorf("replaced: %v", got)
			}
		})
	}
}

// FuzzJSONStamp compares with encoding/json: what is found in a valid object
// is its first member of that name, and replacing keeps the rest.
func FuzzJSONStamp(f *testing.F) {
	f.Add([]byte(`{"topic":"a","ts":1714979289.5,"x":[{"ts":1}]}`))
	f.Add([]byte(`{"t\u0073":"2024-05-06T07:08:09Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ok := input.FindStamp(data, input.NDJSON)
		if !ok || !json.Valid(data) {
			return
		}
		replaced := s.Replace(nil, data, input.NDJSON, 12_345_678)
		var before, after map[string]json.RawMessage
		if err := json.Unmarshal(data, &before); err != nil {
			t.Fatalf("%s: found a stamp in what is no object", data)
		}
		if err := json.Unmarshal(replaced, &after); err != nil {
			t.Fatalf("%s became %s: %v", data, replaced, err)
		}
		if len(before) != len(after) {
			t.Fatalf("%s became %s", data, replaced)
		}
		changed := 0
		for name, value := range after {
			if !bytes.Equal(value, before[name]) {
				changed++
				if string(value) != "12345678" {
					t.Fatalf("%s became %s", data, replaced)
				}
			}
		}
		if changed > 1 {
			t.Fatalf("%s became %s", data, replaced)
		}
	})
}

func FuzzMsgpackStamp(f *testing.F) {
	f.Add([]byte("\x82\xa5topic\xa1a\xa2ts\x05"))
	f.Add([]byte("\x81\xa2ts\xd6\xff\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ok := input.FindStamp(data, input.Msgpack)
		if !ok {
			return
		}
		again, ok := input.FindStamp(s.Replace(nil, data, input.Msgpack, 12_345_678_901_234_567), input.Msgpack)
		if !ok || again.Time != 12_345_678_901_234_567 {
			t.Fatalf("%x: read back %v, %v", data, again.Time, ok)
		}
	})
}
