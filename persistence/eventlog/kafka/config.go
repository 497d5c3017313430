package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// Decoder turns what somebody else wrote into records of the log. One belongs to
// one partition's reader.
type Decoder interface {
	// Decode appends the events of a message to dst, encoded (Record.AppendTo), and
	// tells how many there are. Those that cannot be counted are refused: a message
	// that cannot be read at all is one refusal.
	Decode(m *messages.Message, dst []byte) (out []byte, records int, refused []messages.Refusal)
}

// Write is how a gateway's blocks become Kafka records.
type Write uint8

const (
	// WriteBlocks: one record has all events of a request for a partition, as crest
	// encodes them.
	WriteBlocks Write = 0
	// WriteEvents: one record per event, its value JSON, for others who read along.
	WriteEvents Write = 1
)

// Config says which topic, and how. Start from DefaultConfig.
type Config struct {
	Brokers  []string // HOST:PORT to begin with; required
	Topic    string   // required
	ClientID string   // default "crest"
	TLS      *tls.Config
	// SASL is "", "plain", "scram-sha-256" or "scram-sha-512".
	SASL, User, Password string

	// Partitions, Replication and Retention are those of a topic that is made here;
	// default 64, the broker's (-1), 7 days. Retention 0: for ever.
	Partitions, Replication int
	Retention               time.Duration
	NoCreate                bool // a missing topic is an error

	Write Write
	// Compression of what is written: "none", "gzip", "snappy", "lz4", "zstd";
	// default lz4.
	Compression string
	// MaxRecord bounds a written record in bytes before compression; blocks above it
	// are written in several. Default 890,000: brokers take 1 MiB unless told
	// otherwise. Of a topic that takes less it is less.
	MaxRecord int
	// MaxWaiting bounds the bytes that wait to be written; above it Append waits.
	// Default 64 MiB.
	MaxWaiting int64
	// GiveUp is how long a write is tried; default 2 min. It must be well below
	// FollowSlack of the ingest actors.
	GiveUp time.Duration

	// Decoder makes a decoder for a partition; required.
	Decoder func() Decoder
	// Now is the reader's clock, against which the stamps of CreateTime topics are
	// judged; required.
	Now func() messages.Micros
	// Keyed says that every producer keys by the event's topic: events elsewhere are
	// counted (Log.Strays) and told of, since questions do not find them.
	Keyed bool
	// FetchBytes bounds one fetch; default 4 MiB. With FetchMemory it goes by how
	// many partitions the topic has: their fetches take so much together (each 64 KiB
	// to 4 MiB). FetchWait is how long a broker waits for something to come; default
	// 500 ms.
	FetchBytes  int
	FetchMemory int64
	FetchWait   time.Duration

	// DeadTopic takes what cannot be counted; "": TOPIC-dead-letters. DeadFile takes
	// it if DeadTopic is "-", or while the topic cannot be written.
	DeadTopic, DeadFile string
	// Group is a consumer group that counted offsets are committed to, for lag
	// dashboards; "": none.
	Group string

	// Objects keeps what the log is, beside the snapshots; required.
	Objects objectstore.Store
	// Clock, HashKey and Settings are those of a log that is used for the first time;
	// of one that was used before they must be the same (Settings: they are those of
	// its first record).
	Clock    messages.Clock
	HashKey  [32]byte
	Settings messages.Settings
	// FirstUse is called before Objects is told of a topic that it was never used
	// with, so that HashKey can be made durable by then; an error ends Open. May be
	// nil.
	FirstUse func() error

	Logger *slog.Logger
}

// DefaultConfig has every default but the required fields.
func DefaultConfig() Config {
	return Config{
		ClientID: "crest", Partitions: 64, Replication: -1, Retention: 7 * 24 * time.Hour,
		Compression: "lz4", MaxRecord: 890_000, MaxWaiting: 64 << 20, GiveUp: 2 * time.Minute,
		FetchBytes: 4 << 20, FetchWait: 500 * time.Millisecond,
		Clock: messages.ClockWall, Settings: messages.DefaultSettings(), Logger: slog.Default(),
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	switch {
	case len(c.Brokers) == 0:
		return errors.New("kafka: no broker: want kafka://HOST:PORT[,…]/TOPIC")
	case c.Topic == "":
		return errors.New("kafka: no topic: want kafka://HOST:PORT[,…]/TOPIC")
	case c.Decoder == nil || c.Now == nil || c.Objects == nil || c.Logger == nil:
		return errors.New("kafka: Decoder, Now, Objects or Logger is missing")
	case c.Partitions < 1 || c.Partitions > messages.MaxPartitions:
		return fmt.Errorf("kafka: %d partitions: want 1 to %d", c.Partitions, messages.MaxPartitions)
	}
	return nil
}
