package node

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/crestdb/crest/messages"
)

// Kafka says which topic of Kafka the log is, and how it is used. Start from
// DefaultKafka.
type Kafka struct {
	Brokers []string // HOST:PORT, to begin with; required
	Topic   string   // required

	TLS *tls.Config // nil: none
	// SASL is "", "plain", "scram-sha-256" or "scram-sha-512".
	SASL, User, Password string

	// Of a topic that is made here: partitions (default 64, or Config.Partitions,
	// which a topic that is there must have too), copies of each (default 0: as many
	// as the brokers make by themselves), and how long records are kept (default 7
	// days; 0: for ever).
	Partitions  int
	Replication int
	Retention   time.Duration
	NoCreate    bool // a missing topic is an error

	// Keyed says that every producer keys its records by the event's topic. If not,
	// each topic is asked for in all partitions, and their counts are added.
	Keyed bool
	// Format is that of records which others write: "auto" (the default), "json",
	// "ndjson", "msgpack", "protobuf" or "cloudevents".
	Format string
	// WriteEvents writes one JSON record per event instead of one record for all of
	// a request and partition.
	WriteEvents bool
	Compression string // of what is written: "none", "gzip", "snappy", "lz4" (the default), "zstd"
	Group       string // that counted offsets are committed to; "": none
	// DeadLetters is the topic of what cannot be counted, or "file": the file
	// dead-letters.jsonl in Data; "": TOPIC-dead-letters.
	DeadLetters string
}

// DefaultKafka has every default but the required fields.
func DefaultKafka() Kafka {
	return Kafka{Partitions: 64, Retention: 7 * 24 * time.Hour, Format: "auto", Compression: "lz4"}
}

func (k *Kafka) validate() error {
	oneOf := func(field, value string, of ...string) error {
		if slices.Contains(of, value) {
			return nil
		}
		return fmt.Errorf("kafka %s %q: want one of %q", field, value, of)
	}
	switch {
	case len(k.Brokers) == 0:
		return fmt.Errorf("kafka brokers: want at least one HOST:PORT")
	case k.Topic == "":
		return fmt.Errorf("kafka topic is empty: want the name of one")
	case k.Partitions < 1 || k.Partitions > messages.MaxPartitions:
		return fmt.Errorf("kafka partitions %d: want 1 to %d", k.Partitions, messages.MaxPartitions)
	case k.Replication < 0 || k.Replication > 32_767:
		return fmt.Errorf("kafka replication %d: want 0 to 32767", k.Replication)
	case k.Retention < 0:
		return fmt.Errorf("kafka retention %v: want 0 or more", k.Retention)
	case k.SASL != "" && (k.User == "" || k.Password == ""):
		return fmt.Errorf("kafka sasl %s: want a user and a password with it", k.SASL)
	case k.DeadLetters == k.Topic:
		return fmt.Errorf("dead letters %s: that is the log itself; want another topic, or file", k.DeadLetters)
	}
	for _, err := range []error{
		oneOf("sasl", k.SASL, "", "plain", "scram-sha-256", "scram-sha-512"),
		oneOf("format", k.Format, "auto", "json", "ndjson", "msgpack", "protobuf", "cloudevents"),
		oneOf("compression", k.Compression, "none", "gzip", "snappy", "lz4", "zstd"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// fetchMemory is what the fetches of all partitions take together: as much as the
// embedded log would have for its readers.
func (c *Config) fetchMemory() int64 {
	split := c.Split()
	return split.LogTail + split.LogCache
}

// topicPartitions are those of a topic that is made here.
func (c *Config) topicPartitions() int {
	if c.Partitions != nil {
		return *c.Partitions
	}
	return c.Kafka.Partitions
}
