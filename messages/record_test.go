package messages_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

// anyRecord draws records that a gateway may write, with the bounds hit often.
func anyRecord() *rapid.Generator[messages.Record] {
	optional := func(t *rapid.T, name string, most int) []byte {
		switch rapid.IntRange(0, 3).Draw(t, name+"?") {
		case 0:
			return nil
		case 1:
			return bytes.Repeat([]byte{'x'}, most)
		}
		return rapid.SliceOfN(rapid.Byte(), 1, min(most, 40)).Draw(t, name)
	}
	return rapid.Custom(func(t *rapid.T) messages.Record {
		r := messages.Record{
			Topic:    rapid.SliceOfN(rapid.Byte(), 1, messages.MaxTopicBytes).Draw(t, "topic"),
			Category: optional(t, "category", messages.MaxNameBytes),
			Region:   optional(t, "region", messages.MaxNameBytes),
			ID:       optional(t, "id", messages.MaxIDBytes),
			User:     optional(t, "user", messages.MaxUserBytes),
			Extra:    optional(t, "extra", 20_000),
			Count:    rapid.Uint64Range(1, messages.MaxCount).Draw(t, "count"),
			Stream:   rapid.SampledFrom([]uint32{0, 1, 127, 128, math.MaxUint32}).Draw(t, "stream"),
			Completed: rapid.SampledFrom([]messages.Tristate{
				messages.Unknown, messages.False, messages.True}).Draw(t, "completed"),
			HasTime:  rapid.Bool().Draw(t, "has time"),
			HasWatch: rapid.Bool().Draw(t, "has watch"),
		}
		if r.HasTime {
			r.Time = messages.Micros(rapid.Int64().Draw(t, "time"))
		}
		if r.HasWatch {
			r.WatchMillis = rapid.Uint64().Draw(t, "watch")
		}
		r.UserPlain = len(r.User) > 0 && rapid.Bool().Draw(t, "plain")
		return r
	})
}

// TestRecordRoundTrip writes records one behind the other and reads them back.
func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(anyRecord(), 1, 5).Draw(t, "records")
		prefix := []byte("before")
		data := bytes.Clone(prefix)
		for i := range records {
			data = records[i].AppendTo(data)
		}
		rest, found := bytes.CutPrefix(data, prefix)
		if !found {
			t.Fatal("AppendTo changed what was there before")
		}
		for i := range records {
			var got messages.Record
			var err error
			if rest, err = got.ReadFrom(rest); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if !reflect.DeepEqual(normal(got), normal(records[i])) {
				t.Fatalf("record %d: got %+v, want %+v", i, got, records[i])
			}
		}
		if len(rest) > 0 {
			t.Fatalf("%d bytes left over", len(rest))
		}
	})
}

// normal makes records comparable: an empty field is nil, and a count of 0 is
// written as no count, which means 1.
func normal(r messages.Record) messages.Record {
	for _, b := range []*[]byte{&r.Category, &r.Region, &r.ID, &r.User, &r.Extra} {
		if len(*b) == 0 {
			*b = nil
		}
	}
	r.Count = max(1, r.Count)
	return r
}

// TestRecordLayout holds the layout to the bytes of FORMAT.md.
func TestRecordLayout(t *testing.T) {
	full := messages.Record{
		Topic: []byte("go"), Category: []byte("c"), Region: []byte("r"), ID: []byte("i"),
		User: []byte("u"), UserPlain: true, Extra: []byte(`"a":1`),
		HasTime: true, Time: -1, Count: 300, Stream: 7, HasWatch: true, WatchMillis: 1,
		Completed: messages.True,
	}
	for _, c := range []struct {
		name   string
		record messages.Record
		want   string
	}{
		{"topic only", messages.Record{Topic: []byte("go"), Count: 1}, "04 00 02676f"},
		{"completed false", messages.Record{Topic: []byte("go"), Count: 1, Completed: messages.False}, "05 8008 02676f"},
		{"everything", full, "18 ff17 02676f 01 0169 ac02 0163 0172 0175 05226122 3a31 07 01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(c.want), []byte(" "), nil)))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.record.AppendTo(nil); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

// TestRecordRefused lists bytes that no writer makes.
func TestRecordRefused(t *testing.T) {
	frame := func(body ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(body))), body...) }
	bigStream := append([]byte{0x80, 0x02, 1, 'a'}, binary.AppendUvarint(nil, 1<<32)...)
	for name, b := range map[string][]byte{
		"nothing":                   {},
		"length without end":        {0x80},
		"shorter than its length":   {5, 0, 1, 'a'},
		"empty body":                frame(),
		"no topic":                  frame(0, 0),
		"topic beyond the body":     frame(0, 9, 'a'),
		"bytes behind the last":     frame(0, 1, 'a', 0),
		"an empty region":           frame(0x10, 1, 'a', 0),
		"unknown flag":              frame(0x80, 0x20, 1, 'a'),
		"count 0":                   frame(0x04, 1, 'a', 0),
		"missing count":             frame(0x04, 1, 'a'),
		"completed and not":         frame(0x80, 0x18, 1, 'a'),
		"plain user without a user": frame(0x40, 1, 'a'),
		"stream beyond 32 bits":     frame(bigStream...),
	} {
		t.Run(name, func(t *testing.T) {
			var r messages.Record
			if _, err := r.ReadFrom(b); err == nil {
				t.Errorf("%x was read as %+v", b, r)
			}
		})
	}
}

// FuzzRecord: whatever is read can be written again and read back the same,
// and reading stays inside the record.
func FuzzRecord(f *testing.F) {
	seed := messages.Record{Topic: []byte("topic"), ID: []byte("id"), Count: 7, HasTime: true, Time: 1 << 50}
	f.Add(seed.AppendTo(nil))
	f.Add([]byte{4, 0, 2, 'g', 'o'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var r messages.Record
		rest, err := r.ReadFrom(data)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(data, rest) || len(rest) >= len(data) {
			t.Fatalf("%d of %d bytes left over", len(rest), len(data))
		}
		var again messages.Record
		if _, err := again.ReadFrom(r.AppendTo(nil)); err != nil {
			t.Fatalf("%+v was written unreadably: %v", r, err)
		}
		if !reflect.DeepEqual(normal(r), normal(again)) {
			t.Fatalf("read %+v, then %+v", r, again)
		}
	})
}

func TestRecordCodecAllocatesNothing(t *testing.T) {
	r := messages.Record{Topic: []byte("topic"), Region: []byte("IN"), Count: 1, HasTime: true, Time: 1 << 50}
	buf := make([]byte, 0, 256)
	var got messages.Record
	if n := testing.AllocsPerRun(100, func() {
		buf = r.AppendTo(buf[:0])
		if _, err := got.ReadFrom(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := messages.Record{
		Topic: []byte("dQw4w9WgXcQ"), Category: []byte("Music"), Region: []byte("IN"),
		ID: []byte("0192f0c1-6d1c-7cc0"), User: make([]byte, messages.UserHashLength),
		Count: 1, HasTime: true, Time: 1_764_000_000_000_000,
	}
	data := r.AppendTo(nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			data = r.AppendTo(data[:0])
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		var got messages.Record
		for b.Loop() {
			if _, err := got.ReadFrom(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
