//go:build e2e

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/messages"
)

// poison is a record with one event that cannot be counted, and words of the
// reason; the others in it are good.
type poison struct {
	name, contentType string
	value             []byte
	reason            string
	good              []string
}

// poisons are the kinds there are.
func poisons() []poison {
	const now = `"timestamp":1700000000`
	text := func(s string) []byte { return []byte(s) }
	one := fmt.Sprintf(`{"topic":"beside","timestamp":%d}`, time.Now().Add(-time.Minute).Unix())
	two := fmt.Sprintf(`{"topic":"topic-1","timestamp":%d,"category":"music"}`, time.Now().Add(-time.Hour).Unix())
	return []poison{
		{"nothing at all", "", nil, "empty", nil},
		{"no topic", "", text(`{"category":"news",` + now + `}`), "topic", nil},
		{"an empty topic", "", text(`{"topic":"",` + now + `}`), "topic", nil},
		{"a topic too long", "", text(`{"topic":"` + strings.Repeat("x", 513) + `"}`), "topic", nil},
		{"a control character in a topic", "", text(`{"topic":"a\u0007b"}`), "topic", nil},
		{"a topic that is a number", "", text(`{"topic":12}`), "topic", nil},
		{"broken UTF-8", "", text("{\"topic\":\"a\xff\"}"), "UTF-8", nil},
		{"JSON cut off", "", text(`{"topic":"a","category":"ne`), "", nil},
		{"something behind the JSON", "application/json", text(`{"topic":"a"} and more`), "", nil},
		{"a timestamp of another age", "", text(`{"topic":"a","timestamp":-1}`), "timestamp", nil},
		{"a timestamp that is none", "", text(`{"topic":"a","timestamp":"yesterday"}`), "timestamp", nil},
		{"a timestamp beyond all units", "", text(`{"topic":"a","timestamp":100000000000000000}`), "timestamp", nil},
		{"an event of tomorrow", "", text(fmt.Sprintf(`{"topic":"a","timestamp":%d}`, time.Now().Add(24*time.Hour).Unix())), "ahead", nil},
		{"a count of nothing", "", text(`{"topic":"a","count":0}`), "count", nil},
		{"a count below nothing", "", text(`{"topic":"a","count":-3}`), "count", nil},
		{"a count too large", "", text(`{"topic":"a","count":4294967296}`), "count", nil},
		{"half a count", "", text(`{"topic":"a","count":1.5}`), "count", nil},
		{"prose", "", text(`to whom it may concern`), "", nil},
		{"msgpack cut off", "application/msgpack", text("\x82\xa5topic\xa1a\xa8cate"), "", nil},
		{"msgpack that is no map", "application/msgpack", text("\xa5topic"), "", nil},
		{"protobuf that is none", "application/x-protobuf", text("\x0a\xff\xff\xff\xff\x0f"), "", nil},
		{"a CloudEvent without data", "application/cloudevents+json", text(`{"specversion":"1.0","type":"t","source":"s","id":"1"}`), "data", nil},
		{"a line among good ones", "", text(one + "\n{\"topic\":\"a\",\"count\":0}\n" + two), "count", []string{one, two}},
		{"a broken line among good ones", "application/x-ndjson", text(one + "\n{\"topic\":\n" + two + "\n"), "line 2", []string{one, two}},
		{"one of an array", "application/json", text("[" + one + `,{"topic":7},` + two + "]"), "topic", []string{one, two}},
	}
}

// goodNeighbours are in no record of a poison, but around it.
const goodNeighbours = 40

// TestKafkaPoison: records of more than 20 kinds that cannot be counted, five of
// each, among good ones, and good events in the same records. Each is put aside
// with its reason, partition and offset, as it was; each is in the ledger once, and
// all its neighbours count.
func TestKafkaPoison(t *testing.T) {
	for _, to := range []string{"topic", "file"} {
		t.Run(to, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			rng := random(t)
			b := realKafka(ctx, t)
			admin := kgoClient(t, b.Addr())
			topic := foreignTopic(ctx, t, admin, kafkaPartitions)
			flags := onKafka(b.Addr(), topic, "--dedup-window", "2h")
			if to == "file" {
				flags = append(flags, "--dead-letters", "file")
			}
			s := newServer(t, flags...)
			s.start(ctx)

			var r record
			type place struct {
				partition int32
				offset    int64
			}
			sent := map[place]poison{}
			c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
			kinds := poisons()
			for round := range 5 {
				for _, kind := range kinds {
					r.produce(ctx, t, c, each("", (*view).topicEvent), someViews(rng, fmt.Sprintf("%s/%d", kind.name, round), goodNeighbours))
					bad := &kgo.Record{Key: []byte(kind.name + strconv.Itoa(round)), Value: kind.value}
					if kind.contentType != "" {
						bad.Headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte(kind.contentType)}}
					}
					if err := c.ProduceSync(ctx, bad).FirstErr(); err != nil {
						t.Fatal(err)
					}
					sent[place{bad.Partition, bad.Offset}] = kind
					for _, line := range kind.good {
						fail(t, r.events.AddLine([]byte(line)))
					}
				}
			}
			letters := s.deadLetters(ctx, b.Addr(), topic, to, 5*len(kinds))
			s.counted(ctx, &r)
			ledger := (&comparison{t: t, client: s.client.Load()}).atRest(ctx)
			if want := uint64(5 * len(kinds)); ledger.DeadLettered != want || ledger.Counted != uint64(r.events.Len()) || ledger.Logged != ledger.Counted+ledger.Duplicates+ledger.DeadLettered {
				t.Errorf("%d events are dead letters, want %d; %d counted, want %d: %+v", ledger.DeadLettered, want, ledger.Counted, r.events.Len(), ledger)
			}

			answers := &comparison{t: t, client: s.client.Load(), events: &r.events, rng: rng, exact: true, cells: []messages.Cell{{}, {Category: "music"}, {Region: "IN"}}}
			answers.windows(ctx, 20)
			found, told := map[place]bool{}, map[string]bool{}
			look := func(letter deadLetter) {
				at := place{letter.partition, letter.offset}
				kind, ok := sent[at]
				switch {
				case !ok:
					t.Errorf("a dead letter that nobody sent: %+v", letter)
				case letter.reason == "" || !strings.Contains(letter.reason, kind.reason):
					t.Errorf("%s: the reason is %q, want one with %q", kind.name, letter.reason, kind.reason)
				case !bytes.Equal(letter.value, kind.value):
					t.Errorf("%s: the dead letter is %q, was %q", kind.name, letter.value, kind.value)
				}
				if found[at] = true; !told[kind.name] {
					told[kind.name] = true
					t.Logf("%s: %s", kind.name, letter.reason)
				}
			}
			for _, letter := range letters {
				look(letter)
			}
			for at, kind := range sent {
				if !found[at] {
					t.Errorf("%s at %v was not put aside", kind.name, at)
				}
			}
		})
	}
}

// deadLetter is one as it was put aside.
type deadLetter struct {
	partition int32
	offset    int64
	reason    string
	value     []byte
}

// deadLetters waits until there are as many, at least, and returns them.
func (s *server) deadLetters(ctx context.Context, addr, topic, to string, n int) (all []deadLetter) {
	s.t.Helper()
	if to == "file" {
		return s.deadLines(ctx, topic, n)
	}
	number := func(r *kgo.Record, name string) int64 {
		v, err := strconv.ParseInt(header(r, name), 10, 64)
		if err != nil {
			s.t.Fatalf("a dead letter's header %s: %v", name, err)
		}
		return v
	}
	records := readAll(ctx, s.t, addr, topic+"-dead-letters", func(r []*kgo.Record) bool { return len(r) >= n })
	for _, r := range records {
		at := deadLetter{int32(number(r, "partition")), number(r, "offset"), header(r, "reason"), r.Value}
		if want := fmt.Sprintf("%d/%d/%d", at.partition, at.offset, number(r, "index")); string(r.Key) != want {
			s.t.Errorf("a dead letter's key is %q, want %q", r.Key, want)
		}
		const logAppendTime = 1 // or letters with old stamps would be gone at once
		if kept := r.Timestamp.UnixMilli(); r.Attrs.TimestampType() != logAppendTime || kept < number(r, "timestamp") {
			s.t.Errorf("a letter of %d is kept as one of %d, with timestamps of type %d", number(r, "timestamp"), kept, r.Attrs.TimestampType())
		}
		all = append(all, at)
	}
	return all
}

// header is the value of a record's first header of a name.
func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// deadLines reads the file of dead letters.
func (s *server) deadLines(ctx context.Context, topic string, n int) (all []deadLetter) {
	s.t.Helper()
	file := filepath.Join(s.data, "dead-letters.jsonl")
	var text []byte
	for bytes.Count(text, []byte("\n")) < n {
		if !pause(ctx, 20*time.Millisecond) {
			s.t.Fatalf("%s has %d lines, want %d", file, bytes.Count(text, []byte("\n")), n)
		}
		text, _ = os.ReadFile(file) // it is made with the first
	}
	for line := range bytes.Lines(text) {
		var at struct {
			Topic     string
			Partition int32
			Offset    int64
			Reason    string
			Value     []byte `json:"value_base64"`
			Text      string `json:"value"`
		}
		if err := json.Unmarshal(line, &at); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		if at.Topic != topic {
			s.t.Errorf("a dead letter of topic %q, want %q", at.Topic, topic)
		}
		if at.Value == nil {
			at.Value = []byte(at.Text)
		}
		all = append(all, deadLetter{at.Partition, at.Offset, at.Reason, at.Value})
	}
	return all
}
