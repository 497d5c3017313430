package node

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// Config is a node's configuration. Start from DefaultConfig. Nil pointers are
// settings that belong to the log: a new log gets the default, an existing one
// keeps what it has.
type Config struct {
	Name string // of the node; default: the host's name
	Data string // folder of everything the node keeps; required
	HTTP string // address to listen on; default 127.0.0.1:8080, port 0: any

	// Kafka is where the log is if it is not in Data; nil: it is.
	Kafka *Kafka

	Memory      int64   // bytes that the node plans with; default 1 GiB
	DedupMemory int64   // bytes of them for ids and keys; 0: a quarter
	Epsilon     float64 // wanted error of sketches, as a share of what is in them; memory wins; default 0.001
	Delta       float64 // probability of a greater one; default 0.001
	MaxBody     int64   // bytes of a decoded request body; 0: 16 MiB, less if Memory is below 512 MiB
	MinFree     int64   // bytes of free disk below which events are refused; default 512 MiB
	// Reserve is how many bytes of the data folder's disk are kept aside in a file,
	// and given up when the disk is full for a snapshot and a stop in good order;
	// default 64 MiB, 0: none.
	Reserve int64

	// Fixed when the log is made: another value on an existing log is an error.
	Partitions *int
	Clock      *messages.Clock
	HashKey    *[32]byte // secret of the keyed hashes
	// Changeable: another value on an existing log holds from this start on.
	DedupWindow   *time.Duration
	MaxAhead      *time.Duration
	MaxCategories *int
	MaxRegions    *int

	KeepUserIDs bool // store user ids as they are, not as keyed hashes

	// Store is where snapshots are kept, "dir:PATH" or "s3://BUCKET/PREFIX"; "":
	// the folder "store" in Data. S3Endpoint and S3Region are for S3; empty: as the
	// AWS tools find them.
	Store, S3Endpoint, S3Region string
	SnapshotPolicy              actors.SnapshotPolicy
	// LogRetention is how long the embedded log is kept at least, whatever snapshots
	// there are; default 1 h.
	LogRetention time.Duration

	// StopTimeout is how long the last snapshots may take at a stop; default 1 min.
	StopTimeout time.Duration

	// MaxLag is how many log entries may wait to be counted before events are
	// refused with 429; default 1,000,000.
	MaxLag uint64
	// CountRate is how many log entries a second the engine may read; 0: all it
	// can. Tests hold it back to see what a node does that falls behind.
	CountRate uint64
	// FS is the file system of the log; nil: the operating system's.
	FS persistence.FS

	Version string // of the program; default "dev"
	Logger  *slog.Logger
}

// DefaultConfig is safe to run once Data is set.
func DefaultConfig() Config {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "crest"
	}
	return Config{
		Name:           name,
		Data:           "./data",
		HTTP:           "127.0.0.1:8080",
		Memory:         1 << 30,
		Epsilon:        0.001,
		Delta:          0.001,
		MinFree:        512 << 20,
		Reserve:        64 << 20,
		SnapshotPolicy: actors.DefaultSnapshotPolicy(),
		LogRetention:   time.Hour,
		StopTimeout:    time.Minute,
		MaxLag:         1_000_000,
		Version:        "dev",
		Logger:         slog.Default(),
	}
}

const (
	minMemory  = 32 << 20
	maxMaxBody = 128 << 20 // a frame made of a larger body might exceed what the log takes
)

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("node name is empty")
	case c.Data == "":
		return fmt.Errorf("data folder is empty: want a folder")
	case c.HTTP == "":
		return fmt.Errorf("http address is empty: want HOST:PORT")
	case c.Memory < minMemory:
		return fmt.Errorf("memory %d: want at least %d bytes (32MiB)", c.Memory, int64(minMemory))
	case c.DedupMemory < 0 || c.DedupMemory > c.Memory/2:
		return fmt.Errorf("dedup-memory %d: want at most half of memory (%d)", c.DedupMemory, c.Memory/2)
	case c.MaxBody != 0 && (c.MaxBody < 1<<10 || c.MaxBody > min(c.Memory/16, maxMaxBody)):
		return fmt.Errorf("max-body %d: want 1KiB to a sixteenth of memory and at most 128MiB (%d)", c.MaxBody, min(c.Memory/16, maxMaxBody))
	case !(c.Epsilon >= minError && c.Epsilon <= maxError):
		return fmt.Errorf("epsilon %g: want %g to %g", c.Epsilon, minError, maxError)
	case !(c.Delta >= minError && c.Delta <= maxError):
		return fmt.Errorf("delta %g: want %g to %g", c.Delta, minError, maxError)
	case c.MinFree < 0:
		return fmt.Errorf("min-free %d: want 0 or more", c.MinFree)
	case c.Reserve < 0:
		return fmt.Errorf("reserve %d: want 0 or more", c.Reserve)
	case c.StopTimeout <= 0:
		return fmt.Errorf("stop timeout %v: want more than 0", c.StopTimeout)
	case c.LogRetention < 0:
		return fmt.Errorf("log-retention %v: want 0 or more", c.LogRetention)
	case c.SnapshotPolicy.Every <= 0 || c.SnapshotPolicy.Lag == 0:
		return fmt.Errorf("snapshot policy %+v: want more than 0 of both", c.SnapshotPolicy)
	case !strings.HasPrefix(c.Store, "s3:") && c.S3Endpoint != "":
		return fmt.Errorf("s3-endpoint %s: the store is a folder; want store s3://BUCKET/PREFIX with it", c.S3Endpoint)
	case !strings.HasPrefix(c.Store, "s3:") && c.S3Region != "":
		return fmt.Errorf("s3-region %s: the store is a folder; want store s3://BUCKET/PREFIX with it", c.S3Region)
	case c.MaxLag == 0:
		return fmt.Errorf("max lag 0: want at least 1")
	case c.Partitions != nil && (*c.Partitions < 1 || *c.Partitions > messages.MaxPartitions):
		return fmt.Errorf("partitions %d: want 1 to %d", *c.Partitions, messages.MaxPartitions)
	case c.Clock != nil && *c.Clock != messages.ClockWall && *c.Clock != messages.ClockEvent:
		return fmt.Errorf("clock %v: want wall or event", *c.Clock)
	case c.Logger == nil:
		return fmt.Errorf("logger is missing")
	}
	if c.Kafka != nil {
		if err := c.Kafka.validate(); err != nil {
			return err
		}
	}
	if s := c.Split(); s.Engine < c.Memory/8 {
		return fmt.Errorf("dedup-memory %d and max-body %d leave the engine %d bytes of memory %d: want an eighth at least", s.Dedup, c.maxBody(), s.Engine, c.Memory)
	}
	return c.settings(messages.DefaultSettings()).Validate()
}

// Errors that can be asked of sketches.
const (
	minError = 1e-6
	maxError = 0.5
)

// fs is the file system of everything in Data.
func (c *Config) fs() persistence.FS {
	if c.FS == nil {
		return persistence.OS{}
	}
	return c.FS
}

// settings are base with what was given.
func (c *Config) settings(base messages.Settings) messages.Settings {
	if c.DedupWindow != nil {
		base.DedupWindow = *c.DedupWindow
	}
	if c.MaxAhead != nil {
		base.MaxAhead = *c.MaxAhead
	}
	if c.MaxCategories != nil {
		base.MaxCategories = *c.MaxCategories
	}
	if c.MaxRegions != nil {
		base.MaxRegions = *c.MaxRegions
	}
	return base
}

// Split is how the memory budget is divided, in bytes.
type Split struct {
	Engine   int64 // rows, names, indexes, slices, candidates
	Dedup    int64 // event ids and Idempotency-Keys
	Bodies   int64 // request bodies in flight, decoded
	LogTail  int64 // newest frames, kept for the readers
	LogCache int64 // older frames read back
	LogGroup int64 // frames that wait for the disk
	Boards   int64 // boards somebody asks for
	Answers  int64 // encoded boards
}

// maxBody is the bound of a request body in force.
func (c *Config) maxBody() int64 {
	if c.MaxBody != 0 {
		return c.MaxBody
	}
	return min(16<<20, c.Memory/32)
}

// Split divides Memory: dedup has its own setting, fixed eighths and
// sixteenths go to what passes through, the engine has the rest.
func (c *Config) Split() Split {
	s := Split{
		Dedup:    c.DedupMemory,
		Bodies:   max(c.Memory/8, 4*c.maxBody()),
		LogTail:  min(c.Memory/32, 64<<20),
		LogCache: min(c.Memory/32, 64<<20),
		LogGroup: min(c.Memory/64, 16<<20),
		Boards:   c.Memory / 32,
		Answers:  c.Memory / 128,
	}
	if s.Dedup == 0 {
		s.Dedup = c.Memory / 4
	}
	s.Engine = c.Memory - (s.Dedup + s.Bodies + s.LogTail + s.LogCache + 2*s.LogGroup + s.Boards + s.Answers)
	return s
}

// Each calls f for every part, in a fixed order.
func (s Split) Each(f func(part string, bytes int64)) {
	f("engine", s.Engine)
	f("dedup", s.Dedup)
	f("bodies", s.Bodies)
	f("log_tail", s.LogTail)
	f("log_cache", s.LogCache)
	f("log_group", s.LogGroup)
	f("boards", s.Boards)
	f("answers", s.Answers)
}
