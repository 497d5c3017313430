package workload_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/bench/workload"
)

// fields is what an encoded event must decode to.
func fields(e *workload.Event) map[string]string {
	want := map[string]string{"topic": e.Topic.String()}
	set := func(on bool, name, value string) {
		if on {
			want[name] = value
		}
	}
	set(e.Category != "", "category", e.Category)
	set(e.Region != "", "region", e.Region)
	set(e.User != 0, "user_id", fmt.Sprint("u", e.User))
	set(e.ID != 0, "event_id", fmt.Sprintf("%016x", e.ID))
	set(e.Time != 0, "timestamp", fmt.Sprint(int64(e.Time)))
	set(e.Count > 1, "count", fmt.Sprint(e.Count))
	return want
}

func text(decoded map[string]any) map[string]string {
	got := map[string]string{}
	for k, v := range decoded {
		got[k] = fmt.Sprint(v)
	}
	return got
}

func samples(t *testing.T) []workload.Event {
	full := workload.DefaultConfig()
	full.IDs, full.MaxCount = true, 1<<31
	bare := workload.DefaultConfig()
	bare.Categories, bare.Regions, bare.Users = 0, 0, 0
	var events []workload.Event
	for _, c := range []workload.Config{full, bare} {
		s := newStream(t, c)
		for range 1000 {
			var e workload.Event
			s.Next(&e)
			events = append(events, e)
			e.Time = 0
			events = append(events, e)
		}
	}
	return events
}

func TestJSONDecodesToTheEvent(t *testing.T) {
	for _, e := range samples(t) {
		line := e.AppendJSON(nil)
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var got map[string]any
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if want := fields(&e); !reflect.DeepEqual(text(got), want) {
			t.Fatalf("%s\ngot  %v\nwant %v", line, got, want)
		}
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%q: want one line", line)
		}
	}
}

func TestMsgpackDecodesToTheEvent(t *testing.T) {
	events := samples(t)
	var stream []byte
	for i := range events {
		stream = events[i].AppendMsgpack(stream)
	}
	d := msgpack.NewDecoder(bytes.NewReader(stream))
	for i := range events {
		got, err := d.DecodeMap()
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if want := fields(&events[i]); !reflect.DeepEqual(text(got), want) {
			t.Fatalf("event %d\ngot  %v\nwant %v", i, got, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := workload.DefaultConfig()
	c.IDs = true
	s := newStream(b, c)
	events := make([]workload.Event, 1024)
	for i := range events {
		s.Next(&events[i])
	}
	for name, encode := range map[string]func(*workload.Event, []byte) []byte{
		"json":    (*workload.Event).AppendJSON,
		"msgpack": (*workload.Event).AppendMsgpack,
	} {
		b.Run("as="+name, func(b *testing.B) {
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				buf = encode(&events[i&1023], buf[:0])
				i++
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}
