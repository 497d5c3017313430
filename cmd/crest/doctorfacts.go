package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/cmd/crest/doctor"
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/gateway/decode"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
	"github.com/crestdb/crest/persistence/snapshot"
)

// gather asks the brokers and the store of snapshots.
func gather(ctx context.Context, w world, s *settings.Settings, url settings.KafkaURL, records int) (*doctor.Facts, error) {
	cfg, err := kafkaAccess(url, s, w)
	if err != nil {
		return nil, &usageError{err: err}
	}
	inspector, err := kafka.NewInspector(cfg)
	if err != nil {
		return nil, err
	}
	defer inspector.Close()
	topic, err := inspector.Describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", strings.Join(url.Brokers, ","), err)
	}
	f := &doctor.Facts{
		Topic: url.Topic, Exists: topic.Exists, ClusterID: topic.ClusterID, TopicID: topic.TopicID,
		Partitions: topic.Partitions, Leaderless: topic.Leaderless, Copies: topic.Copies, InSync: topic.InSync, Settings: topic.Settings,
		Node: nodeFacts(s, url, cfg),
	}
	if topic.SettingsErr != nil {
		f.SettingsErr = topic.SettingsErr.Error()
	}
	for p := range topic.Ends {
		f.Begin, f.End = f.Begin+uint64(topic.Begins[p]), f.End+uint64(topic.Ends[p])
	}
	if err := keptFacts(ctx, w, s, topic, f); err != nil {
		return nil, err
	}
	if topic.Ends != nil && records > 0 {
		format, err := decode.ParseFormat(s.KafkaFormat)
		if err != nil {
			return nil, &usageError{err: err}
		}
		sampler := newSampler(topic.Partitions, format, s.MaxAhead, &f.Sample)
		if err := sampler.sample(ctx, inspector, topic, records); err != nil {
			f.Sample.Err = err.Error()
		}
	}
	return f, nil
}

func nodeFacts(s *settings.Settings, url settings.KafkaURL, cfg kafka.Config) doctor.Node {
	n := doctor.Node{
		Partitions: s.KafkaPartitions, Replication: s.KafkaReplication, Retention: s.KafkaRetention, NoCreate: s.KafkaNoCreate,
		Keyed: s.KafkaKeyed, SnapshotEvery: s.SnapshotEvery, MaxRecord: cfg.MaxRecord, DeadLetters: s.DeadLetters,
		TLS: cfg.TLS != nil, SASL: s.KafkaSASL,
	}
	switch n.DeadLetters {
	case "":
		n.DeadLetters = "the topic " + url.Topic + "-dead-letters"
	case "file":
		n.DeadLetters = "a file in " + s.Data
	default:
		n.DeadLetters = "the topic " + n.DeadLetters
	}
	return n
}

// keptFacts looks into the data folder and the store of snapshots, if there are
// any yet.
func keptFacts(ctx context.Context, w world, s *settings.Settings, topic *kafka.Description, f *doctor.Facts) error {
	_, err := os.Stat(filepath.Join(s.Data, "log", "log.meta"))
	f.Embedded = err == nil
	from := &storeFlags{world: w, data: s.Data, store: s.Store, endpoint: s.S3Endpoint, region: s.S3Region}
	store, err := from.open(ctx, s.Store, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeStore(store)
	topics, err := kafka.TopicsIn(ctx, store)
	if err != nil {
		return err
	}
	if len(topics) > 0 && !slices.Contains(topics, f.Topic) {
		f.Other = topics[0]
		return nil
	}
	kept, err := kafka.KeptIn(ctx, store, f.Topic)
	if kept == nil || err != nil {
		return err
	}
	f.Kept = &doctor.Kept{ClusterID: kept.ClusterID, TopicID: kept.TopicID, Partitions: kept.Partitions}
	listings, err := snapshot.List(ctx, store)
	if err != nil {
		return err
	}
	f.Behind = behind(kept, listings, topic)
	return nil
}

// behind are the partitions whose records between the newest snapshot, or where
// counting began, and the topic's beginning are gone.
func behind(kept *kafka.Kept, listings []snapshot.Listing, topic *kafka.Description) []int {
	reached := append(messages.Position(nil), kept.Begins...)
	for _, l := range listings {
		if l.Log == kept.LogID && l.Err == nil && int(l.Partition) < len(reached) {
			for _, r := range l.Roots {
				reached[l.Partition] = max(reached[l.Partition], r.Offset)
			}
		}
	}
	var list []int
	for p := range min(len(reached), len(topic.Begins)) {
		if topic.Begins[p] > reached[p] {
			list = append(list, p)
		}
	}
	return list
}

// sampler decodes records as a node would.
type sampler struct {
	routes  messages.Routes
	decoder *decode.MessageDecoder
	format  decode.Format
	ahead   messages.Micros
	into    *doctor.Sample
	records []byte
}

// refusedMost is how many refused events are kept with their reasons.
const refusedMost = 100

func newSampler(partitions int, format decode.Format, ahead time.Duration, into *doctor.Sample) *sampler {
	into.Formats = map[string]int{}
	return &sampler{
		routes:  messages.NewRoutes(&messages.LogIdentity{Partitions: partitions, Routing: messages.RoutingMurmur2}),
		decoder: decode.NewMessageDecoder(decode.MessageConfig{Format: format}),
		format:  format, ahead: messages.Micros(ahead / time.Microsecond), into: into,
	}
}

func (s *sampler) sample(ctx context.Context, inspector *kafka.Inspector, topic *kafka.Description, n int) error {
	for p := range topic.Partitions {
		at := messages.Partition(p)
		if err := inspector.Newest(ctx, at, topic.Begins[p], topic.Ends[p], n, func(r *kafka.Sampled) { s.take(at, r) }); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// take looks at one record.
func (s *sampler) take(p messages.Partition, r *kafka.Sampled) {
	into := s.into
	into.Records++
	into.Largest = max(into.Largest, len(r.Key)+len(r.Value))
	if r.AppendTime {
		into.AppendTime++
	}
	if at := r.Time.Time(); into.Oldest.IsZero() || at.Before(into.Oldest) {
		into.Oldest = at
	}
	if at := r.Time.Time(); at.After(into.Newest) {
		into.Newest = at
	}
	if r.Own {
		into.Own++
		if r.Wrong != nil {
			into.Forged++
			s.refused(p, r, []messages.Refusal{{Reason: r.Wrong.Error()}})
		}
		return
	}
	m := messages.Message{Key: r.Key, Value: r.Value, Headers: r.Headers, Stamp: r.Time, Latest: r.Time + s.ahead}
	var n int
	var refused []messages.Refusal
	s.records, n, refused = s.decoder.Decode(&m, s.records[:0])
	into.Events += n
	s.refused(p, r, refused)
	if n > 0 {
		into.Formats[s.formatOf(&m)]++
		s.judgeKey(p, r)
	}
}

// refused takes note of events that would be put aside.
func (s *sampler) refused(p messages.Partition, r *kafka.Sampled, list []messages.Refusal) {
	s.into.Refusals += messages.RefusedEvents(list)
	for _, e := range list {
		if len(s.into.Refused) < refusedMost {
			s.into.Refused = append(s.into.Refused, doctor.Refused{Partition: int(p), Offset: uint64(r.Offset), Reason: e.Reason})
		}
	}
}

// formatOf is the format of a message that could be read, for people: what it
// says of itself, or what it looks like.
func (s *sampler) formatOf(m *messages.Message) string {
	value := bytes.TrimSpace(m.Value)
	_, event := m.Header("ce_specversion")
	kind, said := m.Header("content-type")
	switch {
	case s.format != decode.FormatAuto:
		return s.format.String()
	case event:
		return "cloudevents"
	case said:
		return string(kind)
	case value[0] != '{' && value[0] != '[' && value[0] < 0x80:
		return "protobuf"
	case value[0] >= 0x80:
		return "msgpack"
	case bytes.IndexByte(value, '\n') >= 0 && value[0] == '{':
		return "ndjson"
	case bytes.Contains(value, []byte(`"specversion"`)):
		return "cloudevents"
	}
	return "json"
}

// judgeKey tells whether all events of a record are in the partition of their
// topic.
func (s *sampler) judgeKey(p messages.Partition, r *kafka.Sampled) {
	keyed := true
	var e messages.Record
	for rest := s.records; len(rest) > 0 && keyed; {
		var err error
		if rest, err = e.ReadFrom(rest); err != nil {
			panic(fmt.Sprintf("a record that was just encoded cannot be read: %v", err))
		}
		keyed = s.routes.Of(e.Topic) == p
		if e.HasTime && e.Time < r.Time-30*24*messages.Hour {
			s.into.Late++
		}
	}
	// A key that is not the topic leaves it to chance where the next one goes.
	if keyed && bytes.Equal(r.Key, e.Topic) {
		s.into.Keyed++
		return
	}
	if s.into.Unkeyed == 0 {
		s.into.Example = fmt.Sprintf("%d/%d", p, r.Offset)
	}
	s.into.Unkeyed++
}
