package messages

import "time"

// Micros is a moment or a length of time in microseconds; a moment counts from
// the Unix epoch, UTC. It is the only unit of time inside the engine.
type Micros int64

// Lengths of time in Micros.
const (
	Millisecond Micros = 1_000
	Second             = 1_000 * Millisecond
	Minute             = 60 * Second
	Hour               = 60 * Minute
	Day                = 24 * Hour
)

// SliceLength is the length of the finest time slice; state digests and
// deltas are keyed by it. Slices are aligned to the Unix epoch.
const SliceLength = 5 * Second

// MicrosOf converts a wall-clock time.
func MicrosOf(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Time converts to a wall-clock time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// Duration converts a length of time.
func (m Micros) Duration() time.Duration { return time.Duration(m) * time.Microsecond }

// Floor rounds down to a multiple of grid, for moments before 1970 too.
func (m Micros) Floor(grid Micros) Micros {
	r := m % grid
	if r < 0 {
		r += grid
	}
	return m - r
}

// Ceil rounds up to a multiple of grid.
func (m Micros) Ceil(grid Micros) Micros { return -((-m).Floor(grid)) }
