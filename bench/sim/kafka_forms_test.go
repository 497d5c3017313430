//go:build e2e

package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/messages/eventpb"
)

// view is an event as somebody else's producer knows it.
type view struct {
	topic, category, region, id string
	serial                      string    // another name for it, which all views have
	at                          time.Time // whole milliseconds
	count                       uint64
}

// someViews are n events of the last two hours, half of them with ids, of which
// some come twice.
func someViews(rng *rand.Rand, name string, n int) []view {
	views := make([]view, 0, n)
	for i := range n {
		if i > 0 && rng.IntN(20) == 0 && views[i-1].id != "" {
			views = append(views, views[i-1])
			continue
		}
		v := view{
			topic:    fmt.Sprintf("topic-%d", int(300*rng.Float64()*rng.Float64())),
			category: categories[rng.IntN(len(categories))], region: regions[rng.IntN(len(regions))],
			serial: fmt.Sprintf("%s/%d", name, i),
			at:     time.Now().Add(-time.Second - time.Duration(rng.Int64N(int64(2*time.Hour)))).Truncate(time.Millisecond),
			count:  1 + rng.Uint64N(3),
		}
		if rng.IntN(2) == 0 {
			v.id = fmt.Sprintf("%s-%d", name, i)
		}
		views = append(views, v)
	}
	return views
}

// fields are a view as an object in which names are called as keys says;
// missing values are left out.
func (v *view) fields(topic, timestamp string, nested bool) map[string]any {
	m := map[string]any{topic: v.topic, timestamp: v.at.UnixMilli(), "count": v.count, "some_other_key": []int{1, 2}}
	at := m
	if nested {
		at = map[string]any{"player": "tv"}
		m["metadata"] = at
	}
	for name, value := range map[string]string{"category": v.category, "region": v.region} {
		if value != "" {
			at[name] = value
		}
	}
	if v.id != "" {
		m["event_id"] = v.id
	}
	return m
}

func asJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return text
}

// line is the view as the truth takes it.
func (v *view) line() []byte { return asJSON(v.fields("topic", "timestamp", false)) }

// form is a way in which somebody puts views into records.
type form struct {
	name   string
	encode func([]view) []*kgo.Record
}

// each makes one record of each view, keyed by topic.
func each(contentType string, encode func(*view) []byte) func([]view) []*kgo.Record {
	return func(views []view) (records []*kgo.Record) {
		for i := range views {
			r := &kgo.Record{Key: []byte(views[i].topic), Value: encode(&views[i])}
			if contentType != "" {
				r.Headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte(contentType)}}
			}
			records = append(records, r)
		}
		return records
	}
}

// together makes records of several views, of any topics. Since they are not
// keyed by topic, an id that comes twice has to be within one of them.
func together(contentType string, encode func([]view) []byte) func([]view) []*kgo.Record {
	return func(views []view) (records []*kgo.Record) {
		r := &kgo.Record{Value: encode(views)}
		if contentType != "" {
			r.Headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte(contentType)}}
		}
		return append(records, r)
	}
}

func (v *view) topicEvent() []byte { return asJSON(v.fields("topic", "timestamp", true)) }

func (v *view) videoEvent() []byte {
	m := v.fields("video_id", "ts", false)
	m["userId"], m["watch_time_sec"], m["completed"] = "somebody", 12.5, true
	return asJSON(m)
}

func lined(views []view) []byte {
	var b bytes.Buffer
	for i := range views {
		b.Write(views[i].videoEvent())
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func array(views []view) []byte {
	all := make([]any, len(views))
	for i := range views {
		all[i] = views[i].fields("topic", "timestamp", i%2 == 0)
	}
	return asJSON(all)
}

func (v *view) packed() []byte {
	b, err := msgpack.Marshal(v.fields("topic", "timestamp", true))
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return b
}

func packedStream(views []view) (all []byte) {
	for i := range views {
		all = append(all, views[i].packed()...)
	}
	return all
}

// envelope is a CloudEvent around a view. Its source and id are the event's id
// where it has none.
func (v *view) envelope(i int) map[string]any {
	m := map[string]any{
		"specversion": "1.0", "type": "com.example.view", "source": "/players", "id": v.serial,
		"time": v.at.UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json",
	}
	data := v.fields("topic", "timestamp", false)
	if i%2 == 0 {
		delete(data, "timestamp") // then it is the envelope's
	}
	if i%3 == 0 {
		m["data_base64"] = base64.StdEncoding.EncodeToString(asJSON(data))
	} else {
		m["data"] = data
	}
	return m
}

func enveloped(views []view) (records []*kgo.Record) {
	for i := range views {
		records = append(records, &kgo.Record{
			Key: []byte(views[i].topic), Value: asJSON(views[i].envelope(i)),
			Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")}},
		})
	}
	return records
}

func envelopedTogether(views []view) []byte {
	all := make([]any, len(views))
	for i := range views {
		all[i] = views[i].envelope(i)
	}
	return asJSON(all)
}

// inHeaders is the binary mode of CloudEvents.
func inHeaders(views []view) (records []*kgo.Record) {
	for i := range views {
		e := views[i].envelope(i)
		r := &kgo.Record{Key: []byte(views[i].topic), Value: asJSON(views[i].fields("topic", "timestamp", true))}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "content-type", Value: []byte("application/json")})
		for _, name := range []string{"specversion", "type", "source", "id", "time"} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "ce_" + name, Value: []byte(e[name].(string))})
		}
		records = append(records, r)
	}
	return records
}

// proto is the view as protobuf.
func (v *view) proto() *eventpb.Event {
	e := &eventpb.Event{
		Topic: v.topic, Category: v.category, Region: v.region, EventId: v.id, Count: v.count,
		Timestamp: proto.Int64(v.at.UnixMilli()), Device: "tv", Attributes: map[string]string{"player": "7"},
	}
	if len(v.topic)%2 == 0 {
		e.VideoId, e.Topic = e.Topic, ""
	}
	return e
}

func marshalled(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // all strings are UTF-8
	}
	return b
}

func protoBatch(views []view) []byte {
	b := &eventpb.EventBatch{}
	for i := range views {
		b.Events = append(b.Events, views[i].proto())
	}
	return marshalled(b)
}

// forms are all that crest reads. Some are told by a header, some by what is in
// them.
var forms = []form{
	{"topic events", each("", (*view).topicEvent)},
	{"video events", each("application/json", (*view).videoEvent)},
	{"lines", together("application/x-ndjson", lined)},
	{"lines without a header", together("", lined)},
	{"an array", together("", array)},
	{"msgpack", each("", (*view).packed)},
	{"a stream of msgpack", together("application/msgpack", packedStream)},
	{"protobuf", each("", func(v *view) []byte { return marshalled(v.proto()) })},
	{"a batch of protobuf", together("application/x-protobuf", protoBatch)},
	{"CloudEvents", enveloped},
	{"a batch of CloudEvents", together("application/cloudevents-batch+json", envelopedTogether)},
	{"CloudEvents in headers", inHeaders},
}
