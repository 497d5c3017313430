package decode

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

const testStamp = messages.Micros(1_762_000_000_000_000)

func newTestBuilder(partitions int) *Builder {
	id := &messages.LogIdentity{Partitions: partitions}
	return NewBuilder(Config{
		Routes:   messages.NewRoutes(id),
		MaxAhead: func() time.Duration { return 5 * time.Minute },
		UserKey:  [2]uint64{1, 2},
	})
}

// typicalLine is an event of about 150 bytes.
func typicalLine(i int) string {
	return fmt.Sprintf(`{"topic":"video-%06d","user_id":"u%08d","timestamp":%d,"category":"cat-%02d","region":"R%03d","event_id":"e-%012d","watch_time_sec":%d}`,
		i*7919%100_000, i*104729%10_000_000, 1_761_999_000_000+i, i%20, i%200, i, i%300)
}

func typicalBatch(events int) []byte {
	var b bytes.Buffer
	for i := range events {
		b.WriteString(typicalLine(i))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func BenchmarkNDJSON(b *testing.B) {
	const events = 1000
	body := typicalBatch(events)
	builder := newTestBuilder(16)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(testStamp)
		if err := builder.NDJSON(body); err != nil || builder.Accepted() != events {
			b.Fatal(err, builder.Rejections())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
	b.ReportMetric(float64(len(body))/events, "B/event")
}
