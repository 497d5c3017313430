package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

// Inspector looks at a topic and changes nothing: for whoever wants to know
// what it is like before it is used as a log.
type Inspector struct {
	cfg    Config
	client *client
}

// NewInspector looks at cfg.Topic. Of cfg it needs the brokers, how to reach
// them, the topic and the logger.
func NewInspector(cfg Config) (*Inspector, error) {
	if len(cfg.Brokers) == 0 || cfg.Topic == "" {
		return nil, errors.New("kafka: no broker or no topic")
	}
	cfg.fillIn()
	i := &Inspector{cfg: cfg}
	var err error
	i.client, err = newClient(&i.cfg)
	return i, err
}

// Close ends its connections.
func (i *Inspector) Close() { i.client.close() }

// Description is what the brokers say of a topic.
type Description struct {
	Exists     bool
	ClusterID  string
	TopicID    string // hexadecimal digits; "" from brokers that give none
	Partitions int
	Leaderless []int // partitions that have no leader now
	Copies     int   // of the partition with the fewest
	InSync     int   // of the partition with the fewest in-sync copies
	// Begins and Ends are per partition. They are missing if any has no leader.
	Begins, Ends messages.Position
	// Settings are the topic's, those of the brokers' defaults included.
	Settings    map[string]string
	SettingsErr error // why there are none
}

// Describe asks the brokers. A topic that is not there is no error.
func (i *Inspector) Describe(ctx context.Context) (*Description, error) {
	m, err := i.client.metadata(ctx, i.cfg.Topic)
	if err == nil { // of a topic that has just been made the leaders come last
		err = settled(ctx, func() error {
			if m, err = i.client.metadata(ctx, i.cfg.Topic); err == nil && leaderless(m) >= 0 {
				return kafkago.LeaderNotAvailable
			}
			return err
		})
		if errors.Is(err, kafkago.LeaderNotAvailable) && m != nil {
			err = nil // that is what there is to tell
		}
	}
	switch {
	case errors.Is(err, errNoTopic):
		return &Description{}, nil
	case err != nil:
		return nil, unreached(err)
	}
	d := &Description{Exists: true, ClusterID: m.clusterID, TopicID: topicIDText(m.topicID[:]), Partitions: m.partitions, Copies: m.copies, InSync: m.inSync}
	for p, leader := range m.leaders {
		if leader < 0 {
			d.Leaderless = append(d.Leaderless, p)
		}
	}
	if len(d.Leaderless) == 0 {
		err := settled(ctx, func() (err error) {
			d.Begins, d.Ends, err = i.client.watermarks(ctx, m.partitions)
			return err
		})
		if err != nil {
			return nil, explained(err)
		}
	}
	if d.Settings, err = i.client.settings(ctx); err != nil {
		d.SettingsErr = explained(err)
	}
	return d, nil
}

// settleTime is how long brokers may need to agree on a topic that was just made.
const settleTime = 5 * time.Second

// settled calls f until brokers know the topic and its leaders, for a while.
func settled(ctx context.Context, f func() error) error {
	until := time.Now().Add(settleTime)
	for {
		err := f()
		if err == nil || !topicUnknown(err) && !errors.Is(err, errNoTopic) && !errors.Is(err, kafkago.NotLeaderForPartition) && !errors.Is(err, kafkago.LeaderNotAvailable) {
			return err
		}
		if time.Now().After(until) || pause(ctx, context.Background(), askAgain) != nil {
			return err
		}
	}
}

// topicIDText is a topic's id, "" where there is none.
func topicIDText(id []byte) string {
	for _, b := range id {
		if b != 0 {
			return hex.EncodeToString(id)
		}
	}
	return ""
}

// settings are the topic's, those of the brokers' defaults included.
func (c *client) settings(ctx context.Context) (map[string]string, error) {
	asker := kafkago.Client{Addr: c.addr, Transport: c.transport, Timeout: answerTimeout}
	answer, err := asker.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: c.cfg.Topic}},
	})
	if err != nil {
		return nil, fmt.Errorf("ask about settings: %w", err)
	}
	all := map[string]string{}
	for _, r := range answer.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("ask about settings: %w", r.Error)
		}
		for _, e := range r.ConfigEntries {
			all[e.ConfigName] = e.ConfigValue
		}
	}
	return all, nil
}

// Sampled is a record as it lies in the topic. Its bytes are valid until the
// next one.
type Sampled struct {
	Offset     messages.Offset
	Time       messages.Micros
	AppendTime bool // Time is the broker's
	Own        bool // written by a crest
	// Wrong is what is the matter with the header that makes it Own.
	Wrong      error
	Key, Value []byte
	Headers    []messages.Header
}

// sampleBytes bounds a fetch for a sample.
const sampleBytes = 1 << 20

// Newest calls each with up to about n of a partition's newest records, in their
// order; those of aborted transactions and markers are left out.
func (i *Inspector) Newest(ctx context.Context, p messages.Partition, begin, end messages.Offset, n int, each func(*Sampled)) error {
	from := begin
	if end > begin+messages.Offset(n) {
		from = end - messages.Offset(n)
	}
	var plain []byte
	for from < end {
		var f *fetched
		err := settled(ctx, func() (err error) {
			f, err = i.client.fetch(ctx, p, from, sampleBytes, time.Second)
			return err
		})
		if err != nil {
			return explained(err)
		}
		next, err := sample(f, from, &plain, each)
		f.free()
		if err != nil {
			return err
		}
		if next <= from {
			return nil // nothing is behind it but what is not committed
		}
		from = next
	}
	return nil
}

// sample goes through the batches of a fetch, and tells where the next begins.
func sample(f *fetched, from messages.Offset, plain *[]byte, each func(*Sampled)) (next messages.Offset, err error) {
	var aborted abortedSet
	aborted.reset(f.aborted)
	next = from
	for b := f.records; len(b) > 0; {
		head, rest, err := nextBatch(b)
		if errors.Is(err, errCut) {
			return next, nil
		}
		if err != nil {
			return next, err
		}
		b, next = rest, messages.Offset(head.next)
		if aborted.skips(&head) {
			continue
		}
		records := head.records
		if head.codec != 0 {
			if *plain, err = head.inflate((*plain)[:0]); err != nil {
				return next, err
			}
			records = *plain
		}
		var r record
		for it := (recordIter{head: &head, b: records, left: head.count}); it.next(&r); {
			if messages.Offset(r.offset) < from {
				continue
			}
			s := Sampled{
				Offset: messages.Offset(r.offset), Time: messages.Micros(r.time) * 1000, AppendTime: head.appendTime,
				Key: r.key, Value: r.value, Headers: r.headers,
			}
			m := messages.Message{Headers: r.headers}
			if header, own := m.Header(headerKey); own {
				_, s.Wrong = parseHeader(header)
				s.Own = true
			}
			each(&s)
		}
	}
	return next, nil
}
