package eventlog

import (
	"fmt"
	"log/slog"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// Config says where a log is and what it may use. Start from DefaultConfig.
type Config struct {
	Dir string         // the log's own folder; made if it is not there
	FS  persistence.FS // nil: the operating system's

	// What a log is made with. Of an existing log the first three are either
	// zero or what the log has; Settings are not looked at again.
	Partitions int               // 1 … messages.MaxPartitions; 0: 16 for a new log
	Clock      messages.Clock    // 0: wall for a new log
	HashKey    *[32]byte         // nil: random for a new log
	Settings   messages.Settings // zero: messages.DefaultSettings for a new log

	SegmentBytes int64 // a segment this long gets a successor; default 256 MiB
	// GroupBytes bounds the frames that wait for the disk: so much may wait
	// while as much is being written. Then Append waits. Default 8 MiB; a
	// larger frame waits alone.
	GroupBytes int64
	TailBytes  int64 // newest frames kept in memory for readers; default 64 MiB
	CacheBytes int64 // older frames read back from the files; default 32 MiB
	// MinFree is the floor of free space, in bytes, below which no events are
	// taken. Default 512 MiB; 0: no floor.
	MinFree   int64
	FreeSpace func(dir string) (int64, error) // nil: persistence.FreeSpace

	Logger *slog.Logger // nil: slog.Default()
}

// DefaultConfig is a safe configuration but for Dir, which has no default.
func DefaultConfig() Config {
	return Config{
		SegmentBytes: 256 << 20,
		GroupBytes:   8 << 20,
		TailBytes:    64 << 20,
		CacheBytes:   32 << 20,
		MinFree:      512 << 20,
	}
}

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	switch {
	case c.Dir == "":
		return fmt.Errorf("log: Dir is empty: want a folder")
	case c.Partitions < 0 || c.Partitions > messages.MaxPartitions:
		return fmt.Errorf("log: Partitions %d: want 1 to %d", c.Partitions, messages.MaxPartitions)
	case c.Clock > messages.ClockEvent:
		return fmt.Errorf("log: Clock %v: want wall or event", c.Clock)
	case c.SegmentBytes < 4<<10 || c.SegmentBytes > 64<<30:
		return fmt.Errorf("log: SegmentBytes %d: want 4 KiB to 64 GiB", c.SegmentBytes)
	case c.GroupBytes < 4<<10 || c.GroupBytes > 1<<30:
		return fmt.Errorf("log: GroupBytes %d: want 4 KiB to 1 GiB", c.GroupBytes)
	case c.TailBytes < 0:
		return fmt.Errorf("log: TailBytes %d: want 0 or more", c.TailBytes)
	case c.CacheBytes < 0:
		return fmt.Errorf("log: CacheBytes %d: want 0 or more", c.CacheBytes)
	case c.MinFree < 0:
		return fmt.Errorf("log: MinFree %d: want 0 or more", c.MinFree)
	}
	if c.Settings != (messages.Settings{}) {
		if err := c.Settings.Validate(); err != nil {
			return fmt.Errorf("log: Settings: %w", err)
		}
	}
	return nil
}

func (c *Config) fillIn() {
	if c.FS == nil {
		c.FS = persistence.OS{}
	}
	if c.FreeSpace == nil {
		c.FreeSpace = persistence.FreeSpace
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}
