package actors

import (
	"testing"
	"time"
)

// TestReadsGatherWhileTheyAreSmall: an event that comes alone hardly delays
// the next, a stream is gathered, and a backlog is read as fast as it goes.
func TestReadsGatherWhileTheyAreSmall(t *testing.T) {
	for _, c := range []struct {
		name       string
		read, left int
		want       time.Duration
	}{
		{"control", 0, 0, 0},
		{"one event", 1, 0, readPause},
		{"one event, another came", 1, 1, 0},
		{"a few", 5, 1, 5 * readPause},
		{"a stream", 1000, 50, readPauseMost},
		{"a backlog", 1000, 100_000, 0},
	} {
		if got := pauseAfter(c.read, c.left); got != c.want {
			t.Errorf("%s: pause %v, want %v", c.name, got, c.want)
		}
	}
}
