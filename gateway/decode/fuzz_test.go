package decode

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/messages"
)

// fuzzLimit keeps bodies below the bounds on kept keys, which the oracle does
// not know.
const fuzzLimit = 4 << 10

// agree fails unless the builder took what the oracle accepts, with the same
// values. With one partition the records are in the body's order.
func agree(t *testing.T, b *Builder, want []verdict) {
	t.Helper()
	accepted := 0
	for _, v := range want {
		if v.accepted {
			accepted++
		}
	}
	if b.Accepted() != accepted || b.Rejected() != len(want)-accepted {
		t.Fatalf("accepted %d, rejected %d; the oracle accepts %d of %d\n%v", b.Accepted(), b.Rejected(), accepted, len(want), b.Rejections())
	}
	rejected := map[int]bool{}
	for _, r := range b.Rejections() {
		if rejected[r.Index] = true; r.Reason == "" {
			t.Fatalf("event %d: no reason", r.Index)
		}
	}
	var data []byte
	for _, blk := range b.Frame("", messages.BodyHash{}).Blocks {
		data = append(data, blk.Data...)
	}
	for i, v := range want {
		if v.accepted == rejected[i] {
			if i >= MaxRejections {
				return
			}
			t.Fatalf("event %d: the oracle accepts it: %v\n%v", i, v.accepted, b.Rejections())
		}
		if !v.accepted {
			continue
		}
		var r messages.Record
		rest, err := r.ReadFrom(data)
		if err != nil {
			t.Fatal(err)
		}
		data = rest
		same(t, i, r, v)
	}
}

func same(t *testing.T, i int, r messages.Record, v verdict) {
	t.Helper()
	if err := r.Check(); err != nil {
		t.Fatalf("event %d: a reader would put it aside: %v", i, err)
	}
	extra := decodePlain([]byte("{" + string(r.Extra) + "}"))
	if !reflect.DeepEqual(extra, any(v.extra)) {
		t.Fatalf("event %d: keeps %v, want %v", i, extra, v.extra)
	}
	r.Extra = nil
	w := v.record
	for _, s := range []*[]byte{&r.Category, &r.Region, &r.ID, &r.User, &w.Category, &w.Region, &w.ID, &w.User} {
		if len(*s) == 0 {
			*s = nil
		}
	}
	if !reflect.DeepEqual(r, w) {
		t.Fatalf("event %d:\n got %+v\nwant %+v", i, r, w)
	}
}

// jsonSeeds are events for the fuzzers to start from; between them they use
// every rule.
var jsonSeeds = []string{
	`{"topic":"a"}`,
	`{"video_id":"π\u00e9\ud83d\ude00","userId":17,"ts":1761999000,"weight":3,"metadata":{"category":"c","region":null,"lang":"de","x":[1,{"y":null}]}}`,
	`{"topic":"a","user_id":"u","timestamp":"2025-10-31T23:59:59.123456789+05:30","event_id":"e1","category":"c","region":"R","lang":"","source":"s","device":null,"count":2147483648}`,
	`{"topic":"a","timestamp":1761999000.25,"watch_time_sec":12.3456,"completed":true,"session_id":"s","quality":720,"buffering_count":[]}`,
	`{"topic":"a","timestamp":1.761999e9,"watch_time_sec":-1,"completed":"no"}`,
	`{"topic":"a","timestamp":1761999000123456,"watch_time_sec":1e15,"metadata":7}`,
	`{"topic":"a","timestamp":"2016-12-31T23:59:60Z"}`,
	`{"topic":"a","timestamp":"2016-12-31t23:59:59z","metadata":{"topic":"b","Category":1}}`,
	`{"topic":"a","timestamp":0,"count":null,"user_id":null,"event_id":null,"category":null}`,
	`{"topic":"","event_id":"","category":"","user_id":""}`,
	`{"topic":"a","timestamp":-1}`, `{"topic":"a","timestamp":"9999-01-01T00:00:00Z"}`, `{"topic":"a","timestamp":1e17}`,
	`{"topic":"a","count":0}`, `{"topic":"a","count":1.0}`, `{"topic":"a","count":1e3}`, `{"topic":"a","count":"1"}`, `{"topic":"a","count":-1}`, `{"topic":"a","count":2147483649}`,
	`{"topic":"a","topic":"b"}`, `{"topic":"a","video_id":"b"}`, `{"topic":"a","x":1,"x":2}`, `{"topic":"a","x":{"y":1,"y":2}}`, `{"topic":"a","category":"b","metadata":{"category":"c"}}`,
	`{"Topic":"a"}`, `{"topic":"a","ſource":"x"}`, `{"topic":"a","x":1}{}`, `{"topic":"a",}`, `{"topic":"a" "b"}`,
	`{"topic":"\ud800"}`, `{"topic":"\u0000"}`, `{"topic":"a\u0085"}`, "{\"topic\":\"\x7f\"}", "{\"topic\":\"\xff\"}", "{\"topic\":\"\xc2\x85\"}", `{"topic":"a","x":"\ud800"}`,
	`{"topic":"a","x":01}`, `{"topic":"a","x":NaN}`, `{"topic":"a","x":1.}`, `{"topic":"a","x":tru}`, `{"t\u006fpic":"a","x\n":[ 1 , 2 ]}`,
	`[{"topic":"a"},{"topic":1},"x",[[]]]`, `[]`, ``, `  `, `5`, "\xef\xbb\xbf" + `{"topic":"a"}`,
	`{"topic":"a","x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}`,
}

func FuzzJSON(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	b := newTestBuilder(1)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > fuzzLimit {
			return
		}
		b.Reset(testStamp)
		err := b.JSON(body)
		want, batch, ok := judgeJSON(body)
		if (err == nil) != ok {
			t.Fatalf("error %v; the oracle takes the body: %v", err, ok)
		}
		if err == nil {
			if b.Batch() != batch {
				t.Fatalf("batch %v, want %v", b.Batch(), batch)
			}
			agree(t, b, want)
		}
	})
}

func FuzzNDJSON(f *testing.F) {
	var all bytes.Buffer
	for _, s := range jsonSeeds {
		f.Add([]byte(s + "\n" + s))
		all.WriteString(s + "\r\n\n")
	}
	f.Add(all.Bytes())
	b := newTestBuilder(1)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > fuzzLimit {
			return
		}
		b.Reset(testStamp)
		err := b.NDJSON(body)
		want := judgeNDJSON(body)
		if (err == nil) != (len(want) > 0) {
			t.Fatalf("error %v; the oracle sees %d events", err, len(want))
		}
		agree(t, b, want)
	})
}

func FuzzMsgpack(f *testing.F) {
	for _, s := range packSeeds() {
		f.Add(s)
	}
	b := newTestBuilder(1)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > fuzzLimit {
			return
		}
		b.Reset(testStamp)
		err := b.Msgpack(body)
		want, batch, ok := judgeMsgpack(body)
		if (err == nil) != ok {
			t.Fatalf("error %v; the oracle takes the body: %v", err, ok)
		}
		if err == nil {
			if b.Batch() != batch {
				t.Fatalf("batch %v, want %v", b.Batch(), batch)
			}
			agree(t, b, want)
		}
	})
}

// packSeeds are the seeds of FuzzMsgpack.
func packSeeds() [][]byte {
	type m = map[string]any
	var seeds [][]byte
	add := func(values ...any) {
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.UseCompactInts(true)
		for _, v := range values {
			if err := e.Encode(v); err != nil {
				panic(err)
			}
		}
		seeds = append(seeds, b.Bytes())
	}
	add(m{"topic": "a"})
	add(m{"topic": "a", "timestamp": time.Unix(1_761_999_000, 5000), "count": 70_000, "user_id": -5, "completed": false, "watch_time_sec": float32(1.5)})
	add(m{"topic": []byte("b"), "ts": 1_761_999_000.125, "x": []any{nil, true, 1, -200, 1.0, "s\"\\\n", []byte{0xff}, m{"y": 1}}, "metadata": m{"category": "c", "z": uint64(1) << 63}})
	add([]any{m{"topic": "a"}, m{"topic": "b", "count": 1.0}, 7, "x", m{"x": 1}})
	add(m{"topic": "a"}, m{"topic": "b"})
	add(map[any]any{1: 2})
	add(m{"topic": "a", "timestamp": time.Unix(-1, 0)}, m{"topic": "a", "timestamp": time.Unix(1<<40, 1)})
	for _, s := range []string{
		"\x82\xa5topic\xa1a\xa5topic\xa1b",                                // a key twice
		"\x81\xa5topic\xa2\xc3\x28",                                       // invalid UTF-8
		"\x82\xa5topic\xa1a\xa1x\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01", // NaN
		"\x82\xa5topic\xa1a\xa1x\xc7\x03\x05abc",                          // an extension
		"\x82\xa5topic\xa1a\xa1x\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00", // a timestamp with too many nanoseconds
		"\xdd\xff\xff\xff\xff", "\x81\xa5topic", "\xc1", "\x90", "", "\x81\xa5topic\xa1a\xc0",
		"\xdf\x00\x00\x00\x01\xa5topic\xdb\x00\x00\x00\x01a",
	} {
		seeds = append(seeds, []byte(s))
	}
	return seeds
}
