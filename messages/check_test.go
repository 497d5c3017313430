package messages_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestRecordsOutOfBounds are told from those that a gateway may have written.
func TestRecordsOutOfBounds(t *testing.T) {
	long := func(n int) []byte { return []byte(strings.Repeat("x", n)) }
	for _, c := range []struct {
		name   string
		change func(r *messages.Record)
		fine   bool
	}{
		{"nothing but a topic", func(*messages.Record) {}, true},
		{"everything as long as may be", func(r *messages.Record) {
			r.Topic, r.Category, r.Region = long(messages.MaxTopicBytes), long(messages.MaxNameBytes), long(messages.MaxNameBytes)
			r.ID, r.User, r.Count = long(messages.MaxIDBytes), long(messages.MaxUserBytes), messages.MaxCount
			r.HasTime, r.Time = true, 1e17-1
		}, true},
		{"time 0", func(r *messages.Record) { r.HasTime = true }, true},
		{"a time that does not hold", func(r *messages.Record) { r.Time = -1 }, true},
		{"a user's hash", func(r *messages.Record) { r.User = []byte{0, 0xff, 0x80} }, true},
		{"no topic", func(r *messages.Record) { r.Topic = nil }, false},
		{"topic too long", func(r *messages.Record) { r.Topic = long(messages.MaxTopicBytes + 1) }, false},
		{"category too long", func(r *messages.Record) { r.Category = long(messages.MaxNameBytes + 1) }, false},
		{"region too long", func(r *messages.Record) { r.Region = long(messages.MaxNameBytes + 1) }, false},
		{"id too long", func(r *messages.Record) { r.ID = long(messages.MaxIDBytes + 1) }, false},
		{"user too long", func(r *messages.Record) { r.User = long(messages.MaxUserBytes + 1) }, false},
		{"no count", func(r *messages.Record) { r.Count = 0 }, false},
		{"count above the most", func(r *messages.Record) { r.Count = messages.MaxCount + 1 }, false},
		{"time before 1970", func(r *messages.Record) { r.HasTime, r.Time = true, -1 }, false},
		{"the first time", func(r *messages.Record) { r.HasTime, r.Time = true, math.MinInt64 }, false},
		{"a time too late", func(r *messages.Record) { r.HasTime, r.Time = true, 1e17 }, false},
		{"control character", func(r *messages.Record) { r.Topic = []byte("a\x00") }, false},
		{"DEL", func(r *messages.Record) { r.Category = []byte("\x7f") }, false},
		{"control character of two bytes", func(r *messages.Record) { r.Region = []byte("a\u0085") }, false},
		{"no UTF-8", func(r *messages.Record) { r.Topic = []byte("a\xff") }, false},
		{"cut-off UTF-8", func(r *messages.Record) { r.Region = []byte("a\xe2\x82") }, false},
		{"the replacement character", func(r *messages.Record) { r.Topic = []byte("\ufffd") }, true},
	} {
		r := messages.Record{Topic: []byte("a"), Count: 1}
		c.change(&r)
		if err := r.Check(); (err == nil) != c.fine || err != nil && !errors.Is(err, messages.ErrRecord) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
