package decode

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/messages"
)

const testStamp = messages.Micros(1_762_000_000_000_000)

func newTestBuilder(partitions int) *Builder {
	return NewBuilder(testConfig(partitions))
}

func testConfig(partitions int) Config {
	return Config{
		Routes:   messages.NewRoutes(&messages.LogIdentity{Partitions: partitions}),
		MaxAhead: func() time.Duration { return 5 * time.Minute },
		UserKey:  [2]uint64{1, 2},
	}
}

// typicalLine is an event of 150 to 160 bytes.
func typicalLine(i int) string {
	return fmt.Sprintf(`{"topic":"video-%06d","user_id":"u%08d","timestamp":%d,"category":"cat-%02d","region":"R%03d","event_id":"e-%012d","watch_time_sec":%d}`,
		i*7919%100_000, i*104729%10_000_000, 1_761_999_000_000+i, i%20, i%200, i, i%300)
}

// typicalPack is the same event as msgpack.
func typicalPack(i int) []byte {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	e.SetSortMapKeys(true)
	err := e.Encode(map[string]any{
		"topic": fmt.Sprintf("video-%06d", i*7919%100_000), "user_id": fmt.Sprintf("u%08d", i*104729%10_000_000),
		"timestamp": 1_761_999_000_000 + i, "category": fmt.Sprintf("cat-%02d", i%20), "region": fmt.Sprintf("R%03d", i%200),
		"event_id": fmt.Sprintf("e-%012d", i), "watch_time_sec": i % 300,
	})
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// shapes are batches for benchmarks and for the test of allocations.
var shapes = []struct {
	name string
	body func(events int) []byte
	take func(*Builder, []byte) error
}{
	{"typical", repeat("", "\n", func(i int) []byte { return []byte(typicalLine(i)) }), (*Builder).NDJSON},
	{"extra keys", repeat("", "\n", func(i int) []byte {
		return fmt.Appendf(nil, `{"topic":"video-%06d","ts":"2025-11-01T00:00:00.%03dZ","session_id":"s%d","quality":"720p","metadata":{"category":"c","tags":["x","y"]}}`, i, i, i)
	}), (*Builder).NDJSON},
	{"escapes", repeat("", "\n", func(i int) []byte {
		return fmt.Appendf(nil, `{"topic":"\u00e9\ud83d\ude00 %d","region":"München","user_id":%d}`, i, i)
	}), (*Builder).NDJSON},
}

var packedShapes = []struct {
	name string
	body func(events int) []byte
	take func(*Builder, []byte) error
}{
	{"typical", repeat("", "", typicalPack), (*Builder).Msgpack},
	{"extra keys", repeat("", "", func(i int) []byte {
		b, err := msgpack.Marshal(map[string]any{"topic": fmt.Sprint("video-", i), "ts": time.Unix(1_761_999_000, 0), "session_id": i, "x": []any{1.5, nil, "y"}})
		if err != nil {
			panic(err)
		}
		return b
	}), (*Builder).Msgpack},
}

// repeat makes a body of many events.
func repeat(before, behind string, event func(i int) []byte) func(events int) []byte {
	return func(events int) []byte {
		var b bytes.Buffer
		for i := range events {
			b.WriteString(before)
			b.Write(event(i))
			b.WriteString(behind)
		}
		return b.Bytes()
	}
}

func BenchmarkNDJSON(b *testing.B) {
	for _, s := range shapes {
		b.Run("shape="+s.name, func(b *testing.B) { benchmark(b, s.body(1000), s.take) })
	}
}

func BenchmarkMsgpack(b *testing.B) {
	for _, s := range packedShapes {
		b.Run("shape="+s.name, func(b *testing.B) { benchmark(b, s.body(1000), s.take) })
	}
}

func benchmark(b *testing.B, body []byte, take func(*Builder, []byte) error) {
	builder := newTestBuilder(16)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(testStamp)
		if err := take(builder, body); err != nil || builder.Accepted() != 1000 {
			b.Fatal(err, builder.Rejections())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
	b.ReportMetric(float64(len(body))/1000, "B/event")
}
