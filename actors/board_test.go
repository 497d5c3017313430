package actors

import (
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

func TestBoardsKeepToTheirMemory(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.BoardMemory = 10 * boardBytes })
	pos := r.send(event("a", "", "", 1))
	for i := range 200 {
		q := &messages.BoardQuery{Window: messages.Window(10+i) * messages.Window(messages.Second), K: 10, After: pos}
		b, err := r.Board(r.ctx(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Rows) != 1 || b.Rows[0].Count != messages.ExactCount(1) {
			t.Fatalf("board %d: %+v", i, b.Rows)
		}
		if used := r.BoardMemory(); used > 11*boardBytes {
			t.Fatalf("%d boards asked for: %d bytes, share %d", i, used, r.cfg.BoardMemory)
		}
	}
}

// TestABoardAskedForBeforeTheFirstEvent must not move the shards' clocks to the
// node clock: the events may be years old.
func TestABoardAskedForBeforeTheFirstEvent(t *testing.T) {
	r := newRig(t, messages.ClockEvent, nil)
	q := &messages.BoardQuery{Window: messages.Window1h, K: 10}
	b, err := r.Board(r.ctx(), q)
	if err != nil || len(b.Rows) != 0 || b.Total.Upper != 0 {
		t.Fatalf("board of nothing: %+v, %v", b, err)
	}
	e := event("old", "", "", 3)
	e.HasTime, e.Time = true, 1_000_000_000*messages.Second
	q.After = r.send(e)
	b, err = r.Board(r.ctx(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Rows) != 1 || b.AsOf != e.Time {
		t.Errorf("as of %v: %+v, want one row as of %v", b.AsOf.Time(), b.Rows, e.Time.Time())
	}
}

func TestManyBoardsAskedForAtOnceWithLittleRoom(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.BoardMemory = 4 * boardBytes })
	pos := r.send(event("a", "", "", 1))
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			q := &messages.BoardQuery{Window: messages.Window(10+i) * messages.Window(messages.Second), K: 10, After: pos}
			if b, err := r.Board(r.ctx(), q); err != nil || len(b.Rows) != 1 {
				t.Errorf("board %d: %+v, %v", i, b, err)
			}
		})
	}
	wg.Wait()
}

func TestIdleBoardsEnd(t *testing.T) {
	idleBefore := boardIdle
	boardIdle = 50 * time.Millisecond
	defer func() { boardIdle = idleBefore }()
	r := newRig(t, messages.ClockWall, nil)
	for range 3 {
		if _, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 10}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(testTimeout); ; {
			status, err := r.Status(r.ctx())
			if err != nil {
				t.Fatal(err)
			}
			if status.Boards == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("a board that nobody asks for is still there after %v", testTimeout)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
