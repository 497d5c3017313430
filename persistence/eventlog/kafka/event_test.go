package kafka

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

// readAll reads a partition from its beginning up to its end.
func readAll(t *testing.T, l *Log, p messages.Partition, end messages.Offset) []messages.ReadBlock {
	t.Helper()
	var blocks []messages.ReadBlock
	b := messages.Batch{}
	for from := messages.Offset(0); from < end; from = b.Next {
		if err := l.Read(t.Context(), p, from, &b); err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b.Blocks...)
	}
	return blocks
}

// What is read back does not depend on how it was written, but for the offsets.
func TestEventsAreReadBackAsBlocksAre(t *testing.T) {
	read := func(write Write) []string {
		b := newBroker(t)
		cfg := writerConfig(b)
		cfg.Write = write
		l := openLog(t, cfg)
		keyed := frameOf(3_000_000, 25, 0, 1)
		keyed.Key, keyed.BodyHash = "again", messages.BodyHash{9}
		keyed.Blocks = append(keyed.Blocks, messages.Block{Partition: 2})
		tick := &messages.Frame{Kind: messages.FrameTick, Stamp: 4_000_000}
		for p := range messages.Partition(4) {
			tick.Blocks = append(tick.Blocks, messages.Block{Partition: p})
		}
		last := make(messages.Position, 4)
		for _, f := range []*messages.Frame{frameOf(1_000_000, 1, 0), frameOf(2_000_000, 500, 0, 2, 3), keyed, tick, frameOf(5_000_000, 7, 0)} {
			last.Raise(mustAppend(t, l, f))
		}
		var lines []string
		for p := range messages.Partition(4) {
			at := messages.Offset(0)
			for _, k := range readAll(t, l, p, last[p]) {
				if k.Offset != at {
					t.Fatalf("partition %d: a block at %d, want %d", p, k.Offset, at)
				}
				at = k.End
				if k.Kind == messages.FrameGap {
					continue
				}
				lines = append(lines, fmt.Sprintf("%d %d %q %x %d %d %d %d %x", p, k.Kind, k.Key, k.BodyHash, k.Records, k.Refused, k.Sent.Stamp, k.Sent.Sequence, k.Data))
			}
		}
		return lines
	}
	blocks, events := read(WriteBlocks), read(WriteEvents)
	if len(blocks) != len(events) || len(blocks) != 1+3+3+4+1 {
		t.Fatalf("%d blocks, %d of events", len(blocks), len(events))
	}
	for i := range blocks {
		if blocks[i] != events[i] {
			t.Errorf("as a block: %.200s\nas events:  %.200s", blocks[i], events[i])
		}
	}
}

// Others who read along find the fields of the HTTP interface, keyed by topic.
func TestEventsAreJSONForOthers(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.Write = WriteEvents
	l := openLog(t, cfg)
	r := messages.Record{
		Topic: []byte("a \"b\" \\ ü\xff"), Category: []byte("sport"), Region: []byte("IN"), ID: []byte("id-1"), Count: 3,
		User: bytes.Repeat([]byte{0xab}, 16), Extra: []byte(`"lang":"de","n":[1,2]`),
		Time: 1_700_000_000_123_456, HasTime: true, HasWatch: true, WatchMillis: 12_045, Completed: messages.True,
	}
	plain := messages.Record{Topic: []byte("x"), Count: 1, User: []byte("ann"), UserPlain: true, HasWatch: true, WatchMillis: 2000, Completed: messages.False}
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: 1, Blocks: []messages.Block{{Partition: 2, Records: 2, Data: plain.AppendTo(r.AppendTo(nil))}}}
	mustAppend(t, l, f)
	got := topicRecords(t, b, brokerTopic)[2]
	if len(got) != 2 {
		t.Fatalf("%d records", len(got))
	}
	for i, want := range []string{
		`{"topic":"a \"b\" \\ ü` + "\ufffd" + `","timestamp":"2023-11-14T22:13:20.123456Z","event_id":"id-1","count":3,"category":"sport","region":"IN","user_id":"abababababababababababababababab","watch_time_sec":12.045,"completed":true,"lang":"de","n":[1,2]}`,
		`{"topic":"x","user_id":"ann","watch_time_sec":2,"completed":false}`,
	} {
		if string(got[i].Value) != want || !json.Valid(got[i].Value) {
			t.Errorf("event %d is\n%s\nwant\n%s", i, got[i].Value, want)
		}
	}
	if !bytes.Equal(got[0].Key, r.Topic) || string(got[1].Key) != "x" {
		t.Errorf("keys %q, %q", got[0].Key, got[1].Key)
	}
}

// The JSON of any record is what encoding/json reads as its fields.
func TestAnyRecordIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 40, -1)
		r := messages.Record{
			Topic: []byte(text.Draw(t, "topic")), Category: []byte(text.Draw(t, "category")), Region: []byte(text.Draw(t, "region")),
			ID: []byte(text.Draw(t, "id")), Count: rapid.Uint64Range(1, messages.MaxCount).Draw(t, "count"),
			User: []byte(text.Draw(t, "user")), UserPlain: true,
			HasTime: rapid.Bool().Draw(t, "timed"), Time: messages.Micros(rapid.Int64Range(0, 4e15).Draw(t, "time")),
			HasWatch: true, WatchMillis: rapid.Uint64Range(0, 1e9).Draw(t, "watch"),
		}
		var got struct {
			Topic     string     `json:"topic"`
			Timestamp *time.Time `json:"timestamp"`
			ID        string     `json:"event_id"`
			Count     uint64     `json:"count"`
			Category  string     `json:"category"`
			Region    string     `json:"region"`
			User      string     `json:"user_id"`
			Watch     float64    `json:"watch_time_sec"`
		}
		b := appendJSON(nil, &r)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		got.Count = max(got.Count, 1)
		if got.Topic != string(r.Topic) || got.ID != string(r.ID) || got.Category != string(r.Category) || got.Region != string(r.Region) ||
			got.User != string(r.User) || got.Count != r.Count || messages.Micros(got.Watch*1000+0.5) != messages.Micros(r.WatchMillis) {
			t.Fatalf("%s of %+v", b, r)
		}
		if r.HasTime != (got.Timestamp != nil) || r.HasTime && got.Timestamp.UnixMicro() != int64(r.Time) {
			t.Fatalf("%s of %+v", b, r)
		}
	})
}
