package messages_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

func TestFloorAndCeil(t *testing.T) {
	for _, c := range []struct{ m, grid, floor, ceil messages.Micros }{
		{0, 5, 0, 0}, {1, 5, 0, 5}, {4, 5, 0, 5}, {5, 5, 5, 5}, {6, 5, 5, 10},
		{-1, 5, -5, 0}, {-4, 5, -5, 0}, {-5, 5, -5, -5}, {-6, 5, -10, -5},
	} {
		if got := c.m.Floor(c.grid); got != c.floor {
			t.Errorf("floor of %d on %d: got %d, want %d", c.m, c.grid, got, c.floor)
		}
		if got := c.m.Ceil(c.grid); got != c.ceil {
			t.Errorf("ceil of %d on %d: got %d, want %d", c.m, c.grid, got, c.ceil)
		}
	}
}

// TestFloorAgainstDivision: big.Int's Div is Euclidean, which for a positive
// grid rounds down.
func TestFloorAgainstDivision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "moment")
		grid := rapid.Int64Range(1, 1<<50).Draw(t, "grid")
		floor := new(big.Int).Div(big.NewInt(m), big.NewInt(grid)).Int64() * grid
		if got := messages.Micros(m).Floor(messages.Micros(grid)); int64(got) != floor {
			t.Fatalf("floor: got %d, want %d", got, floor)
		}
		ceil := floor
		if floor != m {
			ceil += grid
		}
		if got := messages.Micros(m).Ceil(messages.Micros(grid)); int64(got) != ceil {
			t.Fatalf("ceil: got %d, want %d", got, ceil)
		}
	})
}

func TestMomentsAndTimes(t *testing.T) {
	when := time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.FixedZone("", 3600))
	m := messages.MicrosOf(when)
	if !m.Time().Equal(when) || m.Time().Location() != time.UTC {
		t.Errorf("%v became %v", when, m.Time())
	}
	if got := messages.Day.Duration(); got != 24*time.Hour {
		t.Errorf("a day lasts %v", got)
	}
}
