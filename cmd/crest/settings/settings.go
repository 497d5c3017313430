package settings

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/crestdb/crest/messages"
)

// Settings of a node, complete: what was not given has its default.
type Settings struct {
	Data string // folder; default ./data
	HTTP string // address to listen on; default 127.0.0.1:8080

	Memory      int64 // bytes; default 1 GiB
	DedupMemory int64 // bytes, a part of Memory; default a quarter of it

	Epsilon float64 // wanted error of sketches, 1e-06 to 0.5; default 0.001
	Delta   float64 // probability of a greater one, 1e-06 to 0.5; default 0.001

	Clock         messages.Clock // default wall
	Partitions    int            // default 16
	MaxCategories int            // default 64
	MaxRegions    int            // default 512
	DedupWindow   time.Duration  // default 10 min
	MaxAhead      time.Duration  // default 5 min

	MaxBody int64 // bytes of a decoded request; default 16 MiB, at most 1/32 of Memory
	MinFree int64 // bytes of free disk below which nothing is taken; default 512 MiB

	Log string // embedded, or kafka://HOST:PORT[,…]/TOPIC; default embedded
	// Of a log in Kafka: the topic where it is made here, what others put into it,
	// what is written to it, and how its brokers are reached.
	KafkaPartitions   int           // default 64
	KafkaReplication  int           // copies; 0, the default: as many as the brokers make by themselves
	KafkaRetention    time.Duration // 0: for ever; default 7 days
	KafkaNoCreate     bool          // a missing topic is an error
	KafkaKeyed        bool          // all producers key by topic
	KafkaFormat       string        // of what others write; default auto
	KafkaWrite        string        // block or event; default block
	KafkaCompression  string        // default lz4
	KafkaGroup        string        // counted offsets are committed to it; default "": to none
	DeadLetters       string        // a topic, or "file"; default "": TOPIC-dead-letters
	KafkaTLSOn        bool
	KafkaCA           string // file
	KafkaCert         string // file
	KafkaKey          string // file
	KafkaSASL         string // plain, scram-sha-256, scram-sha-512; "": none
	KafkaUser         string
	KafkaPasswordFile string

	Store         string        // of snapshots: dir:PATH or s3://BUCKET/PREFIX; default dir:DATA/store
	S3Endpoint    string        // URL of an S3 server; default AWS's
	S3Region      string        // default as the AWS tools find it
	SnapshotEvery time.Duration // an event is in a snapshot after that long; default 10 min
	LogRetention  time.Duration // the log is kept at least that long; default 1 h

	LogLevel  slog.Level // default info
	LogFormat string     // text or json; default text

	HashKeyFile string // default "": the secret is made with the log
	KeepUserIDs bool   // default false

	given    map[string]Origin
	password string // PasswordVariable's
}

// Origin says where a setting was given: "--memory", "CREST_MEMORY", or the
// file with its line.
type Origin string

// Default is what holds where nothing is given.
func Default() Settings {
	log := messages.DefaultSettings()
	s := Settings{
		Data:          "./data",
		HTTP:          "127.0.0.1:8080",
		Memory:        1 << 30,
		Epsilon:       0.001,
		Delta:         0.001,
		Clock:         messages.ClockWall,
		Partitions:    16,
		MaxCategories: log.MaxCategories,
		MaxRegions:    log.MaxRegions,
		DedupWindow:   log.DedupWindow,
		MaxAhead:      log.MaxAhead,
		MinFree:       512 << 20,

		Log:              Embedded,
		KafkaPartitions:  64,
		KafkaRetention:   7 * 24 * time.Hour,
		KafkaFormat:      "auto",
		KafkaWrite:       "block",
		KafkaCompression: "lz4",

		SnapshotEvery: 10 * time.Minute,
		LogRetention:  time.Hour,
		LogLevel:      slog.LevelInfo,
		LogFormat:     "text",
	}
	s.deriveDefaults()
	return s
}

// deriveDefaults fills in the defaults that follow from other settings.
func (s *Settings) deriveDefaults() {
	if _, ok := s.Given("dedup-memory"); !ok {
		s.DedupMemory = s.Memory / 4
	}
	if _, ok := s.Given("max-body"); !ok {
		s.MaxBody = min(16<<20, s.Memory/32)
	}
	if _, ok := s.Given("kafka-topic-partitions"); !ok && s.Log != Embedded {
		if _, ok := s.Given("partitions"); ok {
			s.KafkaPartitions = s.Partitions
		}
	}
	if _, ok := s.Given("store"); !ok {
		s.Store = DefaultStore(s.Data)
	}
}

// DefaultStore is the store of snapshots of a node that keeps its data there and
// was given no other.
func DefaultStore(data string) string { return "dir:" + filepath.Join(data, "store") }

// Given tells whether a setting was given, by its flag's name, and where.
func (s *Settings) Given(name string) (Origin, bool) {
	o, ok := s.given[name]
	return o, ok
}
