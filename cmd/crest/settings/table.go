package settings

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// Setting is one row of the table: a setting by its flag's name.
type Setting struct {
	Name  string // without dashes: "max-body"
	Value string // placeholder in the help text; "" for a switch
	Usage string

	parse  func(*Settings, string) error // its error says what is accepted
	format func(*Settings) string        // as parse reads it
}

// Env is the setting's environment variable.
func (d *Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(d.Name, "-", "_"))
}

// Text is the setting's value in s, as it is read.
func (d *Setting) Text(s *Settings) string { return d.format(s) }

const envPrefix = "CREST_"

// Table lists all settings, in the order in which they are shown.
var Table = []*Setting{
	{
		Name: "data", Value: "DIR", Usage: "folder with everything this node keeps",
		parse:  text(func(s *Settings) *string { return &s.Data }, "a folder"),
		format: func(s *Settings) string { return s.Data },
	},
	{
		Name: "http", Value: "ADDR", Usage: "address to listen on for HTTP",
		parse:  func(s *Settings, v string) error { s.HTTP = v; return checkAddress(v) },
		format: func(s *Settings) string { return s.HTTP },
	},
	{
		Name: "memory", Value: "SIZE", Usage: "all the memory that the node plans with",
		parse:  size(func(s *Settings) *int64 { return &s.Memory }, 32<<20),
		format: func(s *Settings) string { return FormatSize(s.Memory) },
	},
	{
		Name: "dedup-memory", Value: "SIZE", Usage: "the part of --memory that remembered ids may take (default a quarter of it)",
		parse:  size(func(s *Settings) *int64 { return &s.DedupMemory }, 1),
		format: func(s *Settings) string { return FormatSize(s.DedupMemory) },
	},
	{
		Name: "epsilon", Value: "X", Usage: "wanted error of what is counted in sketches, as a share of it; memory wins, answers report the one in use",
		parse:  share(func(s *Settings) *float64 { return &s.Epsilon }),
		format: func(s *Settings) string { return formatShare(s.Epsilon) },
	},
	{
		Name: "delta", Value: "X", Usage: "probability that a count in sketches is further off than --epsilon",
		parse:  share(func(s *Settings) *float64 { return &s.Delta }),
		format: func(s *Settings) string { return formatShare(s.Delta) },
	},
	{
		Name: "clock", Value: "wall|event", Usage: "what engine time follows; fixed when the log is made",
		parse: func(s *Settings, v string) (err error) {
			if s.Clock, err = messages.ParseClock(v); err != nil {
				return errors.New("want wall or event")
			}
			return nil
		},
		format: func(s *Settings) string { return s.Clock.String() },
	},
	{
		Name: "partitions", Value: "N", Usage: "parts of the log, each with its shard; fixed when the log is made",
		parse:  number(func(s *Settings) *int { return &s.Partitions }, 1, messages.MaxPartitions),
		format: func(s *Settings) string { return strconv.Itoa(s.Partitions) },
	},
	{
		Name: "max-categories", Value: "N", Usage: "distinct categories; further ones count in \"other\"; kept in the log",
		parse:  number(func(s *Settings) *int { return &s.MaxCategories }, 1, 65_535),
		format: func(s *Settings) string { return strconv.Itoa(s.MaxCategories) },
	},
	{
		Name: "max-regions", Value: "N", Usage: "distinct regions; further ones count in \"other\"; kept in the log",
		parse:  number(func(s *Settings) *int { return &s.MaxRegions }, 1, 65_535),
		format: func(s *Settings) string { return strconv.Itoa(s.MaxRegions) },
	},
	{
		Name: "dedup-window", Value: "D", Usage: "how long ids are remembered, in log time; kept in the log",
		parse:  duration(func(s *Settings) *time.Duration { return &s.DedupWindow }, time.Second, 24*time.Hour),
		format: func(s *Settings) string { return formatDuration(s.DedupWindow) },
	},
	{
		Name: "max-ahead", Value: "D", Usage: "how far an event may lie ahead of its arrival; kept in the log",
		parse:  duration(func(s *Settings) *time.Duration { return &s.MaxAhead }, 0, time.Hour),
		format: func(s *Settings) string { return formatDuration(s.MaxAhead) },
	},
	{
		Name: "max-body", Value: "SIZE", Usage: "largest request, decoded",
		parse:  size(func(s *Settings) *int64 { return &s.MaxBody }, 1<<10),
		format: func(s *Settings) string { return FormatSize(s.MaxBody) },
	},
	{
		Name: "min-free", Value: "SIZE", Usage: "free disk space below which no events are taken",
		parse:  size(func(s *Settings) *int64 { return &s.MinFree }, 0),
		format: func(s *Settings) string { return FormatSize(s.MinFree) },
	},
	{
		Name: "log", Value: "embedded|kafka://HOST:PORT[,HOST:PORT]/TOPIC", Usage: "the event log: in the data folder, or a topic of Kafka that others may write to, too",
		parse:  func(s *Settings, v string) error { s.Log = v; return checkLog(v) },
		format: func(s *Settings) string { return s.Log },
	},
	{
		Name: "kafka-topic-partitions", Value: "N", Usage: "partitions of a topic that is made here; --partitions says the same",
		parse:  number(func(s *Settings) *int { return &s.KafkaPartitions }, 1, messages.MaxPartitions),
		format: func(s *Settings) string { return strconv.Itoa(s.KafkaPartitions) },
	},
	{
		Name: "kafka-replication", Value: "N", Usage: "copies of each partition of a topic that is made here; 0: as many as the brokers make by themselves",
		parse:  number(func(s *Settings) *int { return &s.KafkaReplication }, 0, 32_767),
		format: func(s *Settings) string { return strconv.Itoa(s.KafkaReplication) },
	},
	{
		Name: "kafka-retention", Value: "D", Usage: "how long a topic that is made here keeps its records; 0: for ever",
		parse:  duration(func(s *Settings) *time.Duration { return &s.KafkaRetention }, 0, 10*365*24*time.Hour),
		format: func(s *Settings) string { return formatDuration(s.KafkaRetention) },
	},
	{
		Name: "kafka-no-create", Usage: "a topic that is not there is an error",
		parse:  truth(func(s *Settings) *bool { return &s.KafkaNoCreate }),
		format: func(s *Settings) string { return strconv.FormatBool(s.KafkaNoCreate) },
	},
	{
		Name: "kafka-keyed", Usage: "every producer keys its records by the event's topic, as crest does: boards and counts need not ask all partitions for each topic",
		parse:  truth(func(s *Settings) *bool { return &s.KafkaKeyed }),
		format: func(s *Settings) string { return strconv.FormatBool(s.KafkaKeyed) },
	},
	{
		Name: "kafka-format", Value: "auto|json|ndjson|msgpack|protobuf|cloudevents", Usage: "of records that others write; auto: told by their headers and content",
		parse:  oneOf(func(s *Settings) *string { return &s.KafkaFormat }, "auto", "json", "ndjson", "msgpack", "protobuf", "cloudevents"),
		format: func(s *Settings) string { return s.KafkaFormat },
	},
	{
		Name: "kafka-write", Value: "block|event", Usage: "what is written: one record for all events of a request and partition, or one JSON record for each event, for others who read along",
		parse:  oneOf(func(s *Settings) *string { return &s.KafkaWrite }, "block", "event"),
		format: func(s *Settings) string { return s.KafkaWrite },
	},
	{
		Name: "kafka-compression", Value: "none|gzip|snappy|lz4|zstd", Usage: "of what is written",
		parse:  oneOf(func(s *Settings) *string { return &s.KafkaCompression }, "none", "gzip", "snappy", "lz4", "zstd"),
		format: func(s *Settings) string { return s.KafkaCompression },
	},
	{
		Name: "kafka-group", Value: "NAME", Usage: "consumer group that counted offsets are committed to, for lag dashboards; where reading begins is the snapshots' to say (default: none)",
		parse:  word(func(s *Settings) *string { return &s.KafkaGroup }),
		format: func(s *Settings) string { return s.KafkaGroup },
	},
	{
		Name: "dead-letters", Value: "TOPIC|file", Usage: "where records go that cannot be counted; file: DATA/dead-letters.jsonl (default TOPIC-dead-letters)",
		parse: func(s *Settings, v string) error {
			if s.DeadLetters = v; v == "file" {
				return nil
			}
			return checkTopic(v)
		},
		format: func(s *Settings) string { return s.DeadLetters },
	},
	{
		Name: "kafka-tls", Usage: "speak TLS to the brokers; so do kafka-ca and kafka-cert",
		parse:  truth(func(s *Settings) *bool { return &s.KafkaTLSOn }),
		format: func(s *Settings) string { return strconv.FormatBool(s.KafkaTLSOn) },
	},
	{
		Name: "kafka-ca", Value: "FILE", Usage: "certificates that the brokers' are signed by (default the system's)",
		parse:  text(func(s *Settings) *string { return &s.KafkaCA }, "a file"),
		format: func(s *Settings) string { return s.KafkaCA },
	},
	{
		Name: "kafka-cert", Value: "FILE", Usage: "certificate to show to the brokers; with --kafka-key",
		parse:  text(func(s *Settings) *string { return &s.KafkaCert }, "a file"),
		format: func(s *Settings) string { return s.KafkaCert },
	},
	{
		Name: "kafka-key", Value: "FILE", Usage: "key of --kafka-cert",
		parse:  text(func(s *Settings) *string { return &s.KafkaKey }, "a file"),
		format: func(s *Settings) string { return s.KafkaKey },
	},
	{
		Name: "kafka-sasl", Value: "plain|scram-sha-256|scram-sha-512", Usage: "how to log in to the brokers (default: not at all)",
		parse:  oneOf(func(s *Settings) *string { return &s.KafkaSASL }, "plain", "scram-sha-256", "scram-sha-512"),
		format: func(s *Settings) string { return s.KafkaSASL },
	},
	{
		Name: "kafka-user", Value: "NAME", Usage: "user of --kafka-sasl",
		parse:  text(func(s *Settings) *string { return &s.KafkaUser }, "a name"),
		format: func(s *Settings) string { return s.KafkaUser },
	},
	{
		Name: "kafka-password-file", Value: "FILE", Usage: "file with the password of --kafka-sasl; or set CREST_KAFKA_PASSWORD",
		parse:  text(func(s *Settings) *string { return &s.KafkaPasswordFile }, "a file"),
		format: func(s *Settings) string { return s.KafkaPasswordFile },
	},
	{
		Name: "store", Value: "dir:PATH|s3://BUCKET/PREFIX", Usage: "where snapshots are kept (default dir:DATA/store)",
		parse:  func(s *Settings, v string) error { s.Store = v; return CheckStore(v) },
		format: func(s *Settings) string { return s.Store },
	},
	{
		Name: "s3-endpoint", Value: "URL", Usage: "server of a store s3://…, if it is not AWS's; credentials are the AWS_ variables'",
		parse:  func(s *Settings, v string) error { s.S3Endpoint = v; return CheckEndpoint(v) },
		format: func(s *Settings) string { return s.S3Endpoint },
	},
	{
		Name: "s3-region", Value: "REGION", Usage: "region of a store s3://…",
		parse:  text(func(s *Settings) *string { return &s.S3Region }, "a region such as eu-central-1"),
		format: func(s *Settings) string { return s.S3Region },
	},
	{
		Name: "snapshot-every", Value: "D", Usage: "how long an event may be in no snapshot; much traffic is snapshotted sooner",
		parse:  duration(func(s *Settings) *time.Duration { return &s.SnapshotEvery }, time.Second, 24*time.Hour),
		format: func(s *Settings) string { return formatDuration(s.SnapshotEvery) },
	},
	{
		Name: "log-retention", Value: "D", Usage: "how long the log is kept at least; what no snapshot has is always kept",
		parse:  duration(func(s *Settings) *time.Duration { return &s.LogRetention }, 0, 365*24*time.Hour),
		format: func(s *Settings) string { return formatDuration(s.LogRetention) },
	},
	{
		Name: "log-level", Value: "L", Usage: "of the node's own log: debug, info, warn or error",
		parse: func(s *Settings, v string) error {
			if !slices.Contains([]string{"debug", "info", "warn", "error"}, v) {
				return errors.New("want debug, info, warn or error")
			}
			return s.LogLevel.UnmarshalText([]byte(v))
		},
		format: func(s *Settings) string { return strings.ToLower(s.LogLevel.String()) },
	},
	{
		Name: "log-format", Value: "text|json", Usage: "of the node's own log",
		parse: func(s *Settings, v string) error {
			if s.LogFormat = v; v != "text" && v != "json" {
				return errors.New("want text or json")
			}
			return nil
		},
		format: func(s *Settings) string { return s.LogFormat },
	},
	{
		Name: "hash-key-file", Value: "FILE", Usage: "secret of the hashes, 32 bytes or 64 hex digits; used when the log is made, and with Kafka at each start (default a random one)",
		parse:  text(func(s *Settings) *string { return &s.HashKeyFile }, "a file"),
		format: func(s *Settings) string { return s.HashKeyFile },
	},
	{
		Name: "keep-user-ids", Usage: "store users as they are instead of as keyed hashes",
		parse:  truth(func(s *Settings) *bool { return &s.KeepUserIDs }),
		format: func(s *Settings) string { return strconv.FormatBool(s.KeepUserIDs) },
	},
}

func find(name string) *Setting {
	for _, d := range Table {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// set takes over a value; origin leads the error, if any.
func (d *Setting) set(s *Settings, origin Origin, value string) error {
	if err := d.parse(s, value); err != nil {
		return fmt.Errorf("%s: %s: %w", origin, Shown(d.Name, value), err)
	}
	s.given[d.Name] = origin
	return nil
}

// Shown is a name with a value that is wrong, for whoever has to mend it. What has
// an @ may have a password in front of it, and logs keep what is shown.
func Shown(name, value string) string {
	if strings.Contains(value, "@") {
		return name
	}
	return fmt.Sprintf("%s %q", name, value)
}

func text(field func(*Settings) *string, want string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if *field(s) = v; strings.TrimSpace(v) == "" {
			return errors.New("want " + want)
		}
		return nil
	}
}

// word is a name that goes over the wire to somebody who may not take any.
func word(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		*field(s) = v
		if v == "" || len(v) > 249 || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError }) {
			return errors.New("want a name of 1 to 249 bytes without spaces and control characters")
		}
		return nil
	}
}

func truth(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, v string) (err error) {
		if *field(s), err = strconv.ParseBool(v); err != nil {
			return errors.New("want true or false")
		}
		return nil
	}
}

func oneOf(field func(*Settings) *string, values ...string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if *field(s) = v; !slices.Contains(values, v) {
			last := len(values) - 1
			return fmt.Errorf("want %s or %s", strings.Join(values[:last], ", "), values[last])
		}
		return nil
	}
}

func number(field func(*Settings) *int, least, most int) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("want %d to %d", least, most)
		}
		*field(s) = n
		return nil
	}
}

func share(field func(*Settings) *float64) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		x, err := strconv.ParseFloat(v, 64)
		if err != nil || !(x >= 1e-6 && x <= 0.5) {
			return errors.New("want a number from 0.000001 to 0.5")
		}
		*field(s) = x
		return nil
	}
}

func formatShare(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func size(field func(*Settings) *int64, least int64) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := ParseSize(v)
		if err != nil {
			return err
		}
		if n < least {
			return fmt.Errorf("want at least %s", FormatSize(least))
		}
		*field(s) = n
		return nil
	}
}

func duration(field func(*Settings) *time.Duration, least, most time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := ParseDuration(v)
		if err != nil || d < least || d > most {
			return fmt.Errorf("want a duration from %s to %s, such as 90s, 10m or 1h", formatDuration(least), formatDuration(most))
		}
		*field(s) = d
		return nil
	}
}

// ParseDuration reads Go's notation with d for days in front ("1d12h"), and 0.
func ParseDuration(v string) (time.Duration, error) {
	if d, err := time.ParseDuration(v); err == nil && d == 0 {
		return 0, nil
	}
	m, err := messages.ParseLength(v)
	return m.Duration(), err
}

func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	return messages.FormatLength(messages.Micros(d / time.Microsecond))
}

func checkAddress(v string) error {
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("want HOST:PORT, such as 127.0.0.1:8080 or :8080")
	}
	return nil
}
