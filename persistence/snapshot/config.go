package snapshot

import (
	"fmt"
	"log/slog"
	"time"
)

// Config says how snapshots are kept. Start from DefaultConfig.
type Config struct {
	// KeepRoots is how many snapshots of a partition are kept, 1 … 64; default 3.
	KeepRoots int
	// Owner is who this process is, for people: it stands in manifests and in
	// what others are told when they are fenced. At most 256 bytes.
	Owner string
	// ObjectBytes is how much of a part goes into one object, before compression:
	// 4 KiB … MaxObject less 64 KiB; default 4 MiB.
	ObjectBytes int
	// InFlight is how many objects are written or read ahead at a time, 1 … 64;
	// default 3. A Save or a Load of one partition takes memory for about
	// 2 × (InFlight + 1) × ObjectBytes, beside the list of its parts.
	InFlight int
	// BytesPerSecond bounds what all partitions together write to the store;
	// default 0: no bound.
	BytesPerSecond int64
	Logger         *slog.Logger     // nil: slog.Default()
	Now            func() time.Time // for people only; nil: time.Now
}

// DefaultConfig is a safe configuration.
func DefaultConfig() Config {
	return Config{KeepRoots: 3, ObjectBytes: 4 << 20, InFlight: 3}
}

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	switch {
	case c.KeepRoots < 1 || c.KeepRoots > maxRoots:
		return fmt.Errorf("snapshot: KeepRoots %d: want 1 to %d", c.KeepRoots, maxRoots)
	case len(c.Owner) > 256:
		return fmt.Errorf("snapshot: Owner of %d bytes: want at most 256", len(c.Owner))
	case c.ObjectBytes < 4<<10 || c.ObjectBytes > MaxObject-64<<10:
		return fmt.Errorf("snapshot: ObjectBytes %d: want %d to %d", c.ObjectBytes, 4<<10, MaxObject-64<<10)
	case c.InFlight < 1 || c.InFlight > 64:
		return fmt.Errorf("snapshot: InFlight %d: want 1 to 64", c.InFlight)
	case c.BytesPerSecond < 0:
		return fmt.Errorf("snapshot: BytesPerSecond %d: want 0 or more", c.BytesPerSecond)
	}
	return nil
}

func (c *Config) fillIn() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// stamp is the time as it is stored: in UTC, to the second.
func (c *Config) stamp() time.Time { return c.Now().UTC().Truncate(time.Second) }
