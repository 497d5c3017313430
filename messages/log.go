package messages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dchest/siphash"
)

// Clock says what engine time follows.
type Clock uint8

// The two clocks.
const (
	// ClockWall: engine time is the node clock; a partition's clock is the
	// largest arrival so far.
	ClockWall Clock = 1
	// ClockEvent: engine time is the largest event time accepted so far.
	ClockEvent Clock = 2
)

func (c Clock) String() string {
	switch c {
	case ClockWall:
		return "wall"
	case ClockEvent:
		return "event"
	}
	return fmt.Sprintf("clock(%d)", uint8(c))
}

// ParseClock reads "wall" or "event".
func ParseClock(s string) (Clock, error) {
	switch s {
	case "wall":
		return ClockWall, nil
	case "event":
		return ClockEvent, nil
	}
	return 0, fmt.Errorf("clock %q: want wall or event", s)
}

// LogIdentity is what a log is made with and never changes.
type LogIdentity struct {
	ID         LogID
	Partitions int // 1 … MaxPartitions
	Clock      Clock
	// Routing says how topics go to partitions.
	Routing Routing
	// HashKey is the secret of every keyed hash over this log: partitions,
	// fingerprints, sketches. It never leaves the node.
	HashKey [32]byte
	// Settings in force at the log's first record.
	Settings Settings
}

// Routing is how a topic's partition is found.
type Routing uint8

const (
	// RoutingKeyed: by a keyed hash, so nobody outside can aim many topics at one
	// partition.
	RoutingKeyed Routing = 0
	// RoutingMurmur2: as Kafka's Java producer does with the topic as the record's
	// key, so that others who key by topic agree.
	RoutingMurmur2 Routing = 1
)

// MaxPartitions bounds LogIdentity.Partitions.
const MaxPartitions = 1024

// Subkey derives the 128-bit key for one purpose ("partition", "dedup", …)
// from the log's secret.
func (id *LogIdentity) Subkey(purpose string) (k0, k1 uint64) {
	k := &id.HashKey
	// One half of the secret after the other, not side by side: two equal
	// halves must not cancel out.
	k0, k1 = siphash.Hash128(binary.LittleEndian.Uint64(k[0:]), binary.LittleEndian.Uint64(k[8:]), []byte(purpose))
	return siphash.Hash128(k0^binary.LittleEndian.Uint64(k[16:]), k1^binary.LittleEndian.Uint64(k[24:]), []byte(purpose))
}

// Settings decide what a record counts. They belong to the log, not to the
// node: a change is a control record in every partition and holds from there.
type Settings struct {
	DedupWindow   time.Duration // how long an id is remembered, in log time
	MaxAhead      time.Duration // how far an event may lie ahead of its arrival
	MaxCategories int           // distinct categories per shard before "other"
	MaxRegions    int           // distinct regions per shard before "other"
}

// DefaultSettings are those of a log made without any.
func DefaultSettings() Settings {
	return Settings{DedupWindow: 10 * time.Minute, MaxAhead: 5 * time.Minute, MaxCategories: 64, MaxRegions: 512}
}

// Validate names the first field out of range, its value and the range.
func (s Settings) Validate() error {
	// Whole microseconds, since that is what AppendTo keeps.
	switch {
	case s.DedupWindow < time.Second || s.DedupWindow > 24*time.Hour || s.DedupWindow%time.Microsecond != 0:
		return fmt.Errorf("dedup-window %v: want whole microseconds from 1s to 24h", s.DedupWindow)
	case s.MaxAhead < 0 || s.MaxAhead > time.Hour || s.MaxAhead%time.Microsecond != 0:
		return fmt.Errorf("max-ahead %v: want whole microseconds from 0s to 1h", s.MaxAhead)
	case s.MaxCategories < 1 || s.MaxCategories > 65_535:
		return fmt.Errorf("max-categories %d: want 1 to 65535", s.MaxCategories)
	case s.MaxRegions < 1 || s.MaxRegions > 65_535:
		return fmt.Errorf("max-regions %d: want 1 to 65535", s.MaxRegions)
	}
	return nil
}

const settingsVersion = 1

// AppendTo encodes valid settings as a control record's data.
func (s Settings) AppendTo(dst []byte) []byte {
	dst = append(dst, settingsVersion)
	dst = binary.AppendUvarint(dst, uint64(s.DedupWindow/time.Microsecond))
	dst = binary.AppendUvarint(dst, uint64(s.MaxAhead/time.Microsecond))
	dst = binary.AppendUvarint(dst, uint64(s.MaxCategories))
	return binary.AppendUvarint(dst, uint64(s.MaxRegions))
}

// ParseSettings decodes a control record's data.
func ParseSettings(b []byte) (Settings, error) {
	if len(b) == 0 || b[0] != settingsVersion {
		return Settings{}, errors.New("control record: unknown settings version")
	}
	d := decoder{b: b[1:]}
	var v [4]uint64
	for i := range v {
		v[i] = d.uvarint()
		// Far beyond every setting, and no unit conversion wraps below it.
		d.bad = d.bad || v[i] > math.MaxInt32*uint64(time.Second/time.Microsecond)
	}
	if d.bad || len(d.b) > 0 {
		return Settings{}, errors.New("control record: malformed settings")
	}
	s := Settings{
		DedupWindow:   time.Duration(v[0]) * time.Microsecond,
		MaxAhead:      time.Duration(v[1]) * time.Microsecond,
		MaxCategories: int(v[2]),
		MaxRegions:    int(v[3]),
	}
	if err := s.Validate(); err != nil {
		return Settings{}, fmt.Errorf("control record: %w", err)
	}
	return s, nil
}
