package decode

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// sameRecords fails unless the events that the oracle accepts have become these
// records.
func sameRecords(t *testing.T, got []messages.Record, want []verdict) {
	t.Helper()
	for i, v := range want {
		if v.accepted {
			same(t, i, got[0], v)
			got = got[1:]
		}
	}
}

// FuzzProtobuf holds the scanner against the generated types.
func FuzzProtobuf(f *testing.F) {
	for _, s := range []string{
		protobuf(typicalProto), protobuf(protoBatch), "\x1a\x00\x1a\x02\x12\x00", "\x12\x01a\x12\x01b", "\x12\x01a\x2a\x00",
		protobuf(&eventpb.Event{VideoId: "é\"\\\n", UserId: "u", Timestamp: proto.Int64(-1), Completed: proto.Bool(false), Count: 1 << 40}),
		protobuf(&eventpb.Event{Topic: "a", Region: "\u0085", Lang: "de", Source: "s", Device: "d", Completed: proto.Bool(true), WatchTimeSec: proto.Float64(-0.1)}),
		protobuf(&eventpb.Event{Topic: "a", Attributes: map[string]string{"category": "c", "count": "1", "": "x", "Topic": "y"}}),
		"\x12\x01a\x81\x01\x00\x00\x00\x00\x00\x00\xf8\x7f", "\x12\x01a\xa0\x06\x01\xa3\x06\xa4\x06", "\x12\x01a\xa3\x06",
		"\x12\x01a\x92\x01\x08\x0a\x01k\x12\x01v\x18\x05", "\x12\x01a\x92\x01\x02\x08\x05", "\xfa\xff\xff\xff\x7f\x00\x12\x01a",
		"\x12\x01a\x58\x00", "\x12\x01a\x80\x80\x80\x80\x20\x01", "\x12\x01a\x38\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "",
	} {
		f.Add([]byte(s))
	}
	d := newTestDecoder(FormatProtobuf)
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > fuzzLimit {
			return
		}
		out, records, refused := d.Decode(message(string(value)), nil)
		want, ok := judgeProtobuf(value)
		sameRecords(t, agreeRecords(t, out, records, refused, want, ok), want)
	})
}

// FuzzCloudEvents holds envelopes against encoding/json.
func FuzzCloudEvents(f *testing.F) {
	for _, c := range forms {
		if strings.Contains(c.value, "specversion") && !strings.Contains(c.value, "msgpack") {
			f.Add([]byte(c.value))
		}
	}
	for _, p := range poison {
		if strings.Contains(p.value, "specversion") && !strings.Contains(p.value, "msgpack") {
			f.Add([]byte(p.value))
		}
	}
	d := newTestDecoder(FormatCloudEvents)
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > fuzzLimit || bytes.Contains(bytes.ToLower(value), []byte("msgpack")) || len(value) == 0 || string(bytes.TrimSpace(value)) == "null" {
			return // msgpack in base64 is the other fuzzers'
		}
		out, records, refused := d.Decode(message(string(value)), nil)
		want, ok := judgeText(value, judgeCloudEvent)
		sameRecords(t, agreeRecords(t, out, records, refused, want, ok), want)
	})
}

// FuzzUnknown takes messages that nothing was said about: what a format is told
// for must be what that format makes of it.
func FuzzUnknown(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
		f.Add([]byte(s + "\n" + s))
	}
	for _, s := range packSeeds() {
		f.Add(s)
	}
	for _, c := range forms {
		f.Add([]byte(c.value))
	}
	for _, p := range poison {
		if len(p.value) < fuzzLimit {
			f.Add([]byte(p.value))
		}
	}
	f.Add([]byte("\x9500\x82\xa5000000\xa5topic\xa10000")) // an array with a byte behind it
	d := newTestDecoder(FormatAuto)
	f.Fuzz(func(t *testing.T, value []byte) {
		lower := bytes.ToLower(value)
		if len(value) > fuzzLimit || bytes.Contains(lower, []byte("msgpack")) {
			return
		}
		out, records, refused := d.Decode(message(string(value)), []byte("before"))
		out, found := bytes.CutPrefix(out, []byte("before"))
		if !found || records+len(refused) == 0 {
			t.Fatalf("%q, %d records, %v", out, records, refused)
		}
		if len(value) == 0 {
			return
		}
		var want []verdict
		var ok bool
		told := sniff(value)
		switch {
		case told == FormatJSON:
			want, ok = judgeText(value, judgeSeen)
		case told == FormatMsgpack:
			if want, _, ok = judgeMsgpack(value); !ok {
				want = nil // broken behind them, it is refused as one
			}
		case told == FormatProtobuf:
			want, ok = judgeProtobuf(value)
		default:
			return // framed, or lines behind a broken one, or nothing
		}
		sameRecords(t, agreeRecords(t, out, records, refused, want, ok), want)
	})
}

// FuzzMessage looks for messages that break the decoder, whatever is said of them.
func FuzzMessage(f *testing.F) {
	for _, c := range forms {
		head := append(c.head, "", "", "", "")
		f.Add(uint8(c.format), head[0], head[1], head[2], head[3], []byte(c.value))
	}
	for _, p := range poison {
		head := append(p.head, "", "", "", "")
		f.Add(uint8(0), head[0], head[1], head[2], head[3], []byte(p.value))
	}
	f.Fuzz(func(t *testing.T, format uint8, k0, v0, k1, v1 string, value []byte) {
		d := newTestDecoder(Format(format) % (FormatCloudEvents + 1))
		m := message(string(value), k0, v0, k1, v1)
		out, records, refused := d.Decode(m, nil)
		if records+len(refused) == 0 {
			t.Fatal("neither a record nor a refusal")
		}
		for _, r := range refused {
			if r.Reason == "" || len(r.Reason) > 400 || !utf8.ValidString(r.Reason) || strings.ContainsFunc(r.Reason, unicode.IsControl) {
				t.Fatalf("reason %q", r.Reason)
			}
		}
		for range records {
			var r messages.Record
			rest, err := r.ReadFrom(out)
			if err != nil || r.Check() != nil || r.HasTime && r.Time > m.Latest {
				t.Fatalf("%+v %v", r, err)
			}
			out = rest
		}
		if len(out) > 0 {
			t.Fatalf("%d bytes behind the last record", len(out))
		}
	})
}

// What the gateway makes of a body, a message makes of it too.
func TestMessagesAreDecodedAsBodies(t *testing.T) {
	b := NewBuilder(Config{Routes: testConfig(1).Routes, MaxAhead: func() time.Duration { return 5 * time.Minute }, UserKey: [2]uint64{1, 2}})
	compare := func(f Format, body []byte, take func([]byte) error) {
		t.Helper()
		b.Reset(testStamp)
		err := take(body)
		out, records, refused := newTestDecoder(f).Decode(message(string(body)), nil)
		if err != nil {
			if records != 0 || len(refused) != 1 || !strings.HasPrefix(refused[0].Reason, "empty") && !strings.Contains(refused[0].Reason, err.Error()) {
				t.Errorf("%v %q: %v, but %d records, %v", f, body, err, records, refused)
			}
			return
		}
		var data []byte
		for _, blk := range b.Frame("", messages.BodyHash{}).Blocks {
			data = append(data, blk.Data...)
		}
		if !bytes.Equal(out, data) || records != b.Accepted() || len(refused) != b.Rejected() {
			t.Fatalf("%v %q: %d records, %d refused, want %d and %d", f, body, records, len(refused), b.Accepted(), b.Rejected())
		}
		for i, r := range b.Rejections() {
			if refused[i].Index != r.Index || !strings.HasSuffix(refused[i].Reason, r.Reason) {
				t.Errorf("%v %q: %+v, want %+v", f, body, refused[i], r)
			}
		}
	}
	for _, s := range jsonSeeds {
		compare(FormatJSON, []byte(s), b.JSON)
		compare(FormatNDJSON, []byte(s+"\n"+s), b.NDJSON)
	}
	for _, s := range packSeeds() {
		compare(FormatMsgpack, s, b.Msgpack)
	}
}
