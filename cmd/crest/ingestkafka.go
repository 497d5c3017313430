package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/gateway/decode"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// producing is the part of crest ingest that writes to Kafka.
type producing struct {
	world
	brokers string
	url     settings.KafkaURL
	access  *settings.Settings
}

func newProducing(w world) *producing { return &producing{world: w} }

const (
	// producedTopic is the topic if none is named.
	producedTopic = "events"
	// producedBatch is how many events are written together: enough for a full
	// batch in each partition.
	producedBatch = 50_000
)

func (p *producing) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.brokers, "kafka", "", "write to a topic of Kafka instead, `HOST:PORT[,HOST:PORT][/TOPIC]` (default topic "+producedTopic+")")
	addSettingsOf(c.Flags(), producedWith)
}

// producedWith are the settings that matter to a producer.
func producedWith(name string) bool { return reachedWith(name) || name == "kafka-compression" }

// reachedWith are the settings of how brokers are reached.
func reachedWith(name string) bool {
	switch name {
	case "kafka-tls", "kafka-ca", "kafka-cert", "kafka-key", "kafka-sasl", "kafka-user", "kafka-password-file":
		return true
	}
	return false
}

func (p *producing) on() bool { return p.brokers != "" }

// given looks at the flags that were given.
func (p *producing) given(c *cobra.Command, f *feeding) error {
	flags := givenSettings(c.Flags())
	if !p.on() {
		for name := range flags {
			return usage("--%s: want --kafka HOST:PORT/TOPIC with it", name)
		}
		return nil
	}
	if c.Flags().Changed("addr") {
		return usage("--kafka and --addr: give one of them")
	}
	if !c.Flags().Changed("batch") {
		f.batch = producedBatch
	}
	var err error
	if p.url, err = settings.ParseBrokers(strings.TrimPrefix(p.brokers, "kafka://")); err != nil {
		return usage("--%s: %w", settings.Shown("kafka", p.brokers), err)
	}
	if p.url.Topic == "" {
		p.url.Topic = producedTopic
	}
	if p.access, err = settings.Load(settings.Sources{Environ: p.environ, Flags: flags}); err == nil {
		err = p.access.CheckKafkaAccess()
	}
	if err != nil {
		return &usageError{err: err}
	}
	return nil
}

// kafkaAccess is how a topic is reached.
func kafkaAccess(url settings.KafkaURL, s *settings.Settings, w world) (kafka.Config, error) {
	k := kafka.DefaultConfig()
	k.Brokers, k.Topic, k.ClientID = url.Brokers, url.Topic, "crest"
	k.SASL, k.User, k.Compression = s.KafkaSASL, s.KafkaUser, s.KafkaCompression
	k.Logger = newLogger(w, s.LogLevel, s.LogFormat)
	var err error
	if k.TLS, err = s.KafkaTLS(); err != nil {
		return k, err
	}
	k.Password, err = s.KafkaPassword()
	return k, err
}

// connectTimeout is how long brokers may take to answer at first.
const connectTimeout = 30 * time.Second

// connect makes the topic what f sends its events to.
func (p *producing) connect(ctx context.Context, f *feeding) (disconnect func(), err error) {
	cfg, err := kafkaAccess(p.url, p.access, p.world)
	if err != nil {
		return nil, &usageError{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	producer, err := kafka.NewProducer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	f.config.DedupWindow = 0
	f.to = newTopicIngester(producer)
	return producer.Close, nil
}

// topicIngester takes events as a node does, and writes each to a topic as JSON.
type topicIngester struct {
	producer interface {
		Write(context.Context, []kafka.Keyed) error
	}
	now      func() time.Time
	decoders sync.Pool
}

// eventDecoders decode what one format brings.
type eventDecoders struct {
	line, pack *decode.MessageDecoder
	records    []byte
	json       []byte
}

func newTopicIngester(p *kafka.Producer) *topicIngester {
	return &topicIngester{producer: p, now: time.Now, decoders: sync.Pool{New: func() any {
		return &eventDecoders{
			line: decode.NewMessageDecoder(decode.MessageConfig{Format: decode.FormatJSON, KeepUserIDs: true}),
			pack: decode.NewMessageDecoder(decode.MessageConfig{Format: decode.FormatMsgpack, KeepUserIDs: true}),
		}
	}}}
}

// Ingest implements feed.Ingester.
func (t *topicIngester) Ingest(ctx context.Context, e *client.Events) (*api.Ingested, error) {
	d := t.decoders.Get().(*eventDecoders)
	defer t.decoders.Put(d)
	records, rejected := d.take(e, t.now())
	if len(records) > 0 {
		if err := t.producer.Write(ctx, records); err != nil {
			return nil, judged(err)
		}
	}
	n := len(rejected)
	return &api.Ingested{Status: "success", Rejected: &n, Errors: rejected}, nil
}

// judged says what an error means for a block of a file.
func judged(err error) error {
	if errors.Is(err, kafka.ErrNotWritten) {
		return &feed.UndoneError{Err: err, Final: kafka.Refused(err)}
	}
	return err
}

// take is the events as records, and what is wrong with the other ones.
func (d *eventDecoders) take(e *client.Events, now time.Time) (records []kafka.Keyed, rejected []api.Rejection) {
	stamp := messages.MicrosOf(now)
	m := messages.Message{Stamp: stamp, Latest: stamp + messages.Micros(messages.DefaultSettings().MaxAhead/time.Microsecond)}
	if e.ContentType == client.NDJSON {
		return d.takeLines(e.Body, &m)
	}
	m.Value = e.Body
	var refused []messages.Refusal
	d.records, _, refused = d.pack.Decode(&m, d.records[:0])
	for _, r := range refused {
		rejected = append(rejected, api.Rejection{Index: r.Index, Reason: r.Reason})
	}
	var r messages.Record
	d.json = nil // the records keep it
	for rest := d.records; len(rest) > 0; {
		var err error
		if rest, err = r.ReadFrom(rest); err != nil {
			panic(fmt.Sprintf("a record that was just encoded cannot be read: %v", err))
		}
		from := len(d.json)
		d.json = kafka.AppendJSON(d.json, &r)
		records = append(records, kafka.Keyed{Key: bytes.Clone(r.Topic), Value: d.json[from:len(d.json):len(d.json)]})
	}
	return records, rejected
}

// takeLines passes lines of NDJSON on as they are.
func (d *eventDecoders) takeLines(body []byte, m *messages.Message) (records []kafka.Keyed, rejected []api.Rejection) {
	var r messages.Record
	for i := 0; len(body) > 0; i++ {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		body, m.Value = rest, bytes.TrimSpace(line)
		var n int
		var refused []messages.Refusal
		d.records, n, refused = d.line.Decode(m, d.records[:0])
		switch {
		case len(refused) > 0:
			rejected = append(rejected, api.Rejection{Index: i, Reason: refused[0].Reason})
		case n != 1:
			rejected = append(rejected, api.Rejection{Index: i, Reason: fmt.Sprintf("%d events in one line: want one", n)})
		default:
			if _, err := r.ReadFrom(d.records); err != nil {
				panic(fmt.Sprintf("a record that was just encoded cannot be read: %v", err))
			}
			records = append(records, kafka.Keyed{Key: bytes.Clone(r.Topic), Value: m.Value})
		}
	}
	return records, rejected
}
