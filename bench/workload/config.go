package workload

import (
	"fmt"
	"strings"
	"time"

	"github.com/crestdb/crest/messages"
)

// Config describes a stream. Equal Configs give equal streams.
type Config struct {
	Seed  uint64
	Start messages.Micros // stream time of the beginning; default 2026-01-01T00:00:00Z
	Rate  float64         // mean events per second of stream time; default 20,000

	Topics   int     // number of topics, besides those of crowds; default 100,000
	Exponent float64 // of Zipf's law over the topics; default 1.0

	Categories int     // 0 (no event has one) … len(CategoryNames); default 20
	Regions    int     // 0 (no event has one) … len(RegionNames); default 200
	HomeShare  float64 // share of a topic's events that come from its home region; default 0.3

	Users    int    // distinct users; 0: events have none; default 1,000,000
	IDs      bool   // events carry an event_id; default false
	MaxCount uint64 // counts are 1 … MaxCount, evenly; default 1

	Diurnal Diurnal
	Drift   Drift
	Crowds  Crowds
}

// Diurnal lets the rate swing around its mean.
type Diurnal struct {
	Depth  float64       // 0 (off) … below 1: the rate goes from (1 - Depth) to (1 + Depth) times the mean
	Period time.Duration // of one swing
}

// Drift lets every topic's popularity come and go in its own rhythm.
type Drift struct {
	Depth  float64       // 0 (off) … 1: how far a topic falls below its best
	Period time.Duration // half to one and a half of it is a topic's rhythm
}

// Crowds lets topics that nobody has seen before go viral, one after another.
type Crowds struct {
	Every    time.Duration // between two outbreaks; 0: off
	First    time.Duration // from the start to the first one
	Share    float64       // of all events, at the peak
	Rise     time.Duration // from nothing to the peak
	Hold     time.Duration // at the peak
	HalfLife time.Duration // of the decay after that
}

// DefaultConfig is a steady stream: popularity by Zipf's law, nothing moves.
func DefaultConfig() Config {
	return Config{
		Seed:       1,
		Start:      messages.MicrosOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		Rate:       20_000,
		Topics:     100_000,
		Exponent:   1,
		Categories: 20,
		Regions:    200,
		HomeShare:  0.3,
		Users:      1_000_000,
		MaxCount:   1,
	}
}

// MixNames are the names that Mix knows.
var MixNames = []string{"steady", "flash", "diurnal", "drift", "lively"}

// Mix is a named Config: "steady" is DefaultConfig; "flash" has one topic go
// viral every ten minutes, up to half of the stream; "diurnal" swings by 80 %
// over a day; "drift" lets popularity come and go within the hour; "lively"
// is made to be looked at: one video goes viral every minute while the others
// come and go.
func Mix(name string) (Config, error) {
	c := DefaultConfig()
	switch name {
	case "steady":
	case "flash":
		c.Crowds = Crowds{
			Every: 10 * time.Minute, First: time.Minute,
			Share: 0.5, Rise: 10 * time.Second, Hold: 2 * time.Minute, HalfLife: 30 * time.Second,
		}
	case "diurnal":
		c.Diurnal = Diurnal{Depth: 0.8, Period: 24 * time.Hour}
	case "drift":
		c.Drift = Drift{Depth: 1, Period: 30 * time.Minute}
	case "lively":
		c.Exponent = 0.9 // no ordinary video drowns the viral one
		c.Drift = Drift{Depth: 1, Period: 3 * time.Minute}
		c.Crowds = Crowds{
			Every: time.Minute, First: 8 * time.Second,
			Share: 0.25, Rise: 10 * time.Second, Hold: 15 * time.Second, HalfLife: 12 * time.Second,
		}
	default:
		return Config{}, fmt.Errorf("workload: mix %q: want one of %s", name, strings.Join(MixNames, ", "))
	}
	return c, nil
}

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	switch {
	case c.Start < 0:
		return fmt.Errorf("workload: Start %d: want 0 or more", c.Start)
	case !(c.Rate > 0 && c.Rate <= 1e9):
		return fmt.Errorf("workload: Rate %v: want above 0, at most 1e9", c.Rate)
	case c.Topics < 1 || c.Topics > 1<<40:
		return fmt.Errorf("workload: Topics %d: want 1 to 2^40", c.Topics)
	case !(c.Exponent >= 0 && c.Exponent <= 10):
		return fmt.Errorf("workload: Exponent %v: want 0 to 10", c.Exponent)
	case c.Categories < 0 || c.Categories > len(CategoryNames):
		return fmt.Errorf("workload: Categories %d: want 0 to %d", c.Categories, len(CategoryNames))
	case c.Regions < 0 || c.Regions > len(RegionNames):
		return fmt.Errorf("workload: Regions %d: want 0 to %d", c.Regions, len(RegionNames))
	case !(c.HomeShare >= 0 && c.HomeShare <= 1):
		return fmt.Errorf("workload: HomeShare %v: want 0 to 1", c.HomeShare)
	case c.Users < 0:
		return fmt.Errorf("workload: Users %d: want 0 or more", c.Users)
	case c.MaxCount < 1 || c.MaxCount > messages.MaxCount:
		return fmt.Errorf("workload: MaxCount %d: want 1 to %d", c.MaxCount, messages.MaxCount)
	case !(c.Diurnal.Depth >= 0 && c.Diurnal.Depth < 1):
		return fmt.Errorf("workload: Diurnal.Depth %v: want 0 to below 1", c.Diurnal.Depth)
	case c.Diurnal.Depth > 0 && c.Diurnal.Period < time.Second:
		return fmt.Errorf("workload: Diurnal.Period %v: want 1s or more", c.Diurnal.Period)
	case !(c.Drift.Depth >= 0 && c.Drift.Depth <= 1):
		return fmt.Errorf("workload: Drift.Depth %v: want 0 to 1", c.Drift.Depth)
	case c.Drift.Depth > 0 && c.Drift.Period < time.Second:
		return fmt.Errorf("workload: Drift.Period %v: want 1s or more", c.Drift.Period)
	}
	return c.Crowds.validate()
}

func (c *Crowds) validate() error {
	switch {
	case c.Every == 0:
		return nil
	case c.Every < time.Second:
		return fmt.Errorf("workload: Crowds.Every %v: want 0 (off), or 1s or more", c.Every)
	case c.First < 0:
		return fmt.Errorf("workload: Crowds.First %v: want 0s or more", c.First)
	case !(c.Share > 0 && c.Share <= 0.9):
		return fmt.Errorf("workload: Crowds.Share %v: want above 0, at most 0.9", c.Share)
	case c.Rise < 0 || c.Hold < 0 || c.HalfLife < 0:
		return fmt.Errorf("workload: Crowds: Rise %v, Hold %v, HalfLife %v: want 0s or more", c.Rise, c.Hold, c.HalfLife)
	case c.life() > 1000*c.Every:
		return fmt.Errorf("workload: Crowds: one lasts %v, more than 1,000 of them at a time", c.life())
	}
	return nil
}
