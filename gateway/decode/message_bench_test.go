package decode

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// usualEvent is an event of 195 to 200 bytes.
func usualEvent(i int) string {
	return fmt.Sprintf(`{"topic":"video-%06d","user_id":"u%08d","timestamp":%d,"category":"cat-%02d","region":"R%03d","event_id":"e-%012d","watch_time_sec":%d,"session_id":"s-%08d","quality":"720p"}`,
		i*7919%100_000, i*104729%10_000_000, 1_761_999_000_000+i, i%20, i%200, i, i%300, i*31%10_000_000)
}

func usualProto(i int) *eventpb.Event {
	return &eventpb.Event{
		Topic: fmt.Sprintf("video-%06d", i*7919%100_000), UserId: fmt.Sprintf("u%08d", i*104729%10_000_000), Timestamp: proto.Int64(int64(1_761_999_000_000 + i)),
		Category: fmt.Sprintf("cat-%02d", i%20), Region: fmt.Sprintf("R%03d", i%200), EventId: fmt.Sprintf("e-%012d", i), WatchTimeSec: proto.Float64(float64(i % 300)),
		SessionId: fmt.Sprintf("s-%08d", i*31%10_000_000), Attributes: map[string]string{"quality": "720p"},
	}
}

// messageShapes are messages for the benchmark and for the test of allocations.
var messageShapes = []struct {
	name   string
	events int // per message
	value  func(i int) string
	head   []string
}{
	{"json", 1, usualEvent, nil},
	{"json by header", 1, usualEvent, []string{"content-type", "application/json"}},
	{"ndjson", 50, many("", "\n", ""), nil},
	{"array", 50, many("[", ",", "]"), nil},
	{"msgpack", 1, func(i int) string { return string(typicalPack(i)) }, nil},
	{"protobuf", 1, func(i int) string { return protobuf(usualProto(i)) }, nil},
	{"protobuf batch", 50, func(i int) string {
		var b eventpb.EventBatch
		for j := range 50 {
			b.Events = append(b.Events, usualProto(50*i+j))
		}
		return protobuf(&b)
	}, []string{"content-type", "application/protobuf"}},
	{"cloudevents", 1, func(i int) string { return ce(usualEvent(i)) }, []string{"content-type", cloudEvents}},
	{"cloudevents by content", 1, func(i int) string { return ce(usualEvent(i)) }, nil},
	{"cloudevents by headers", 1, func(i int) string { return fmt.Sprintf(`{"topic":"video-%06d","x":"y"}`, i) },
		[]string{"ce_specversion", "1.0", "ce_id", "7", "ce_source", "/s", "ce_time", "2025-11-01T12:26:30Z", "content-type", "application/json"}},
}

func many(before, between, behind string) func(i int) string {
	return func(i int) string {
		var all []string
		for j := range 50 {
			all = append(all, usualEvent(50*i+j))
		}
		return before + strings.Join(all, between) + behind
	}
}

func TestNothingIsAllocatedPerGoodMessage(t *testing.T) {
	for _, s := range messageShapes {
		t.Run(s.name, func(t *testing.T) {
			d := newTestDecoder(FormatAuto)
			var all []*messages.Message
			for i := range 100 {
				all = append(all, message(s.value(i), s.head...))
			}
			var dst []byte
			run := func() {
				dst = dst[:0]
				for _, m := range all {
					out, records, refused := d.Decode(m, dst)
					if dst = out; records != s.events || len(refused) > 0 {
						t.Fatal(records, refused)
					}
				}
			}
			run() // fills the buffers
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%v allocations for 100 messages", n)
			}
		})
	}
}

// inARow are messages as a reader has them: their values lie behind one another.
func inARow(values []string, head []string) (all []*messages.Message, bytes int) {
	buffer := []byte(strings.Join(values, ""))
	shared := message("", head...).Headers
	for _, v := range values {
		m := message("")
		m.Headers, m.Value = shared, buffer[:len(v)]
		all, buffer, bytes = append(all, m), buffer[len(v):], bytes+len(v)
	}
	return all, bytes
}

func BenchmarkMessage(b *testing.B) {
	for _, s := range messageShapes {
		b.Run("shape="+strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			d := newTestDecoder(FormatAuto)
			var values []string
			for i := range 1000 / s.events {
				values = append(values, s.value(i))
			}
			all, bytes := inARow(values, s.head)
			var dst []byte
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			for b.Loop() {
				dst = dst[:0]
				for _, m := range all {
					out, records, refused := d.Decode(m, dst)
					if dst = out; records != s.events {
						b.Fatal(refused)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
			b.ReportMetric(float64(bytes)/1000, "B/event")
		})
	}
}
