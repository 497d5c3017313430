package actors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

// TestReadsGatherWhileTheyAreSmall: an event that comes alone hardly delays
// the next, a stream is gathered, and a backlog is read as fast as it goes.
func TestReadsGatherWhileTheyAreSmall(t *testing.T) {
	for _, c := range []struct {
		name       string
		records    int
		read, left messages.Offset
		want       time.Duration
	}{
		{"control", 0, 1, 0, 0},
		{"one event", 1, 1, 0, readPause},
		{"one event, another came", 1, 1, 1, 0},
		{"a few", 5, 5, 1, 5 * readPause},
		{"a stream", 1000, 1000, 50, readPauseMost},
		{"a backlog", 1000, 1000, 100_000, 0},
		{"a backlog of which each offset has many", 16_000, 16, 200, 0},
	} {
		if got := pauseAfter(c.records, c.read, c.left); got != c.want {
			t.Errorf("%s: pause %v, want %v", c.name, got, c.want)
		}
	}
}

// steady is a log that has a hundred records whenever it is read.
type steady struct {
	Log
	reads int
}

func (s *steady) Read(_ context.Context, _ messages.Partition, from messages.Offset, b *messages.Batch) error {
	s.reads++
	b.Blocks = append(b.Blocks[:0], messages.ReadBlock{Offset: from, End: from + 100, Records: 100})
	b.Next = from + 100
	return nil
}

func (s *steady) Ends(pos messages.Position) { pos[0] = messages.Offset(100 * s.reads) }

func TestWhoWaitsEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, h, log := time.Now(), make(hurry, 1), &steady{}
		batches := make(chan any, readAhead)
		r := startReader(0, 0, messages.DefaultSettings(), log, h, func(b any) { batches <- b })
		defer r.stop()
		read := func() time.Duration {
			r.give((<-batches).(*messages.Batch))
			return time.Since(start)
		}
		if at := read(); at != 0 {
			t.Errorf("the first read at %v", at)
		}
		h.now()
		if at := read(); at != 0 {
			t.Errorf("somebody waits, and it is read at %v", at)
		}
		if at := read(); at != readPauseMost {
			t.Errorf("nobody waits, and it is read at %v", at)
		}
	})
}

// dense is a log of which each offset has a thousand records.
type dense struct{ steady }

func (d *dense) Read(_ context.Context, _ messages.Partition, from messages.Offset, b *messages.Batch) error {
	d.reads++
	b.Blocks = append(b.Blocks[:0], messages.ReadBlock{Offset: from, End: from + 4, Records: 4000})
	b.Next = from + 4
	return nil
}

// TestABacklogIsReadAtOnce, however many records its offsets have.
func TestABacklogIsReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, log := time.Now(), &dense{}
		batches := make(chan any, readAhead)
		r := startReader(0, 0, messages.DefaultSettings(), log, make(hurry, 1), func(b any) { batches <- b })
		defer r.stop()
		for range 20 { // of 25 times four
			r.give((<-batches).(*messages.Batch))
		}
		if at := time.Since(start); at != 0 {
			t.Errorf("a backlog is read in %v", at)
		}
	})
}

func (d *dense) Ends(pos messages.Position) { pos[0] = 100 }

// stalled is a log of which one partition cannot be read until it is released.
type stalled struct {
	Log
	partition messages.Partition
	released  chan struct{}
}

func (s *stalled) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	if p == s.partition {
		select {
		case <-s.released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Log.Read(ctx, p, from, b)
}

// TestAfterCoversEarlierRequests: "everything up to" the position of a request
// is not only what is in the partitions that this request touched.
func TestAfterCoversEarlierRequests(t *testing.T) {
	log := &stalled{released: make(chan struct{})}
	r := newRig(t, messages.ClockWall, func(c *Config) {
		log.Log, log.partition = c.Log, messages.NewRoutes(&c.Identity).Of([]byte("early"))
		c.Log = log
	})
	r.send(event("early", "", "", 3))
	late := "late"
	for r.routes.Of([]byte(late)) == log.partition {
		late += "r"
	}
	q := &messages.CountQuery{Topics: []string{"early", late}, Window: messages.Window1h, After: r.send(event(late, "", "", 4))}
	ctx, cancel := context.WithTimeout(r.ctx(), 50*time.Millisecond)
	defer cancel()
	if got, err := r.Counts(ctx, q); !errors.Is(err, messages.ErrBehind) {
		t.Errorf("what came before was not counted yet: %+v, %v", got, err)
	}
	close(log.released)
	got, err := r.Counts(r.ctx(), q)
	if err != nil || got.Counts[0] != messages.ExactCount(3) || got.Counts[1] != messages.ExactCount(4) {
		t.Errorf("got %+v, %v", got, err)
	}
}
