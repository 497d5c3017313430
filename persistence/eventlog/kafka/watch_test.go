package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// watchRig is a watch over a log without brokers.
func watchRig(t *testing.T) (*watch, *lines) {
	t.Helper()
	rig := newCursorRig(t)
	l, text := rig.log, new(lines)
	l.cfg.Logger = text.logger()
	l.ends = newWatermarks(make(messages.Position, l.id.Partitions), make(messages.Position, l.id.Partitions))
	l.reading.parts = make([]partReading, l.id.Partitions)
	l.client = &client{cfg: &l.cfg}
	l.client.topic.Store(&[16]byte{1})
	return &watch{log: l}, text
}

// TestATopicIsDeletedOnlyAfterAWhile: brokers may not know it for a moment.
func TestATopicIsDeletedOnlyAfterAWhile(t *testing.T) {
	w, text := watchRig(t)
	there := &topicMeta{topicID: [16]byte{1}, partitions: w.log.id.Partitions}
	now := time.Now()
	for range 3 {
		w.judge(nil, now)
		w.judge(nil, now.Add(missingFor-time.Second))
		w.judge(there, now.Add(missingFor))
		now = now.Add(2 * missingFor)
	}
	if err := w.log.ends.lost(); err != nil {
		t.Fatalf("it was away for less than %v each time: %v", missingFor, err)
	}
	if err := w.log.ends.unknown(readTopic, now); err != nil {
		t.Errorf("it is known again: %v", err)
	}
	if n := text.count("do not know the topic"); n != 3 {
		t.Errorf("it was said %d times that it is away: want 3\n%s", n, &text.b)
	}
	w.judge(nil, now)
	if err := w.log.ends.unknown(readTopic, now.Add(patience-1)); err != nil {
		t.Errorf("at once: %v", err)
	}
	if err := w.log.ends.unknown(readTopic, now.Add(patience)); err == nil || !strings.Contains(err.Error(), "do not know topic "+readTopic) {
		t.Errorf("after %v: %v", patience, err)
	}
	w.judge(nil, now.Add(missingFor))
	isErr(t, w.log.ends.lost(), messages.ErrLost, "was deleted", readTopic)
	isErr(t, w.log.Err(), messages.ErrStopped, "start over")
	if err := w.log.Err(); strings.Contains(err.Error(), "restart") {
		t.Errorf("a restart would be refused: %v", err)
	}
}

// TestMorePartitionsAreTold, once: nobody reads them.
func TestMorePartitionsAreTold(t *testing.T) {
	w, text := watchRig(t)
	for range 3 {
		w.judge(&topicMeta{topicID: [16]byte{1}, partitions: 64}, time.Now())
	}
	if n := text.count("another number of partitions"); n != 1 || w.log.ends.lost() != nil {
		t.Errorf("said %d times, %v", n, w.log.ends.lost())
	}
}

// TestRetentionComingCloseIsTold once for each time that it does, and not of a
// partition that has read everything, or that nobody reads.
func TestRetentionComingCloseIsTold(t *testing.T) {
	w, text := watchRig(t)
	now := time.Now()
	told := 0
	step := func(begin, at, end int64, want bool) {
		t.Helper()
		w.log.ends.begins[2], w.log.ends.ends[2] = messages.Offset(begin), messages.Offset(end)
		w.log.reading.parts[2].next.Store(at + 1)
		for range 3 {
			w.retention(now)
			now = now.Add(narrowFor)
		}
		if want {
			told++
		}
		if n := text.count("retention is close"); n != told {
			t.Fatalf("begin %d, at %d, end %d: told %d times: want %d\n%s", begin, at, end, n, told, &text.b)
		}
	}
	step(0, 1000, 1000, false)
	step(0, 500, 1000, false)
	step(0, 0, 1000, false)     // nothing has been deleted
	step(300, 500, 1000, false) // 28 %
	step(400, 500, 1000, true)  // 16 %
	step(450, 500, 1000, false) // still
	step(999, 1000, 1000, false)
	step(600, 500, 1000, true) // lost already
	w.log.reading.parts[2].next.Store(0)
	for range 3 {
		w.retention(now)
		now = now.Add(narrowFor)
	}
	if n := text.count("retention is close"); n != told {
		t.Errorf("told of a partition that nobody reads")
	}
	if text.count("worst=2") != told || text.count("headroom_percent=16") != 1 {
		t.Errorf("the worst is not named: %s", &text.b)
	}
}

// TestWatermarksOnlyRise, and what brokers do not say stays as it was.
func TestWatermarksOnlyRise(t *testing.T) {
	w := newWatermarks(messages.Position{1, 1}, messages.Position{5, 5})
	w.raise(0, 9)
	w.raise(0, 7)
	w.learn([]int64{-1, 3}, []int64{-1, 4})
	if w.begins[0] != 1 || w.begins[1] != 3 || w.ends[0] != 9 || w.ends[1] != 5 {
		t.Errorf("begins %v, ends %v", w.begins, w.ends)
	}
}

// TestATransactionThatDoesNotEndIsTold, once, and one of many that do end is not.
func TestATransactionThatDoesNotEndIsTold(t *testing.T) {
	w, text := watchRig(t)
	now := time.Now()
	part := &w.log.reading.parts[3]
	told := func(want int) {
		t.Helper()
		w.transactions(now)
		if n := text.count("does not end"); n != want {
			t.Fatalf("told %d times: want %d\n%s", n, want, &text.b)
		}
	}
	for stable := range int64(10) {
		part.hear(&fetched{highWatermark: 100, lastStable: stable}, now)
		now = now.Add(heldFor / 2)
		told(0)
	}
	part.hear(&fetched{highWatermark: 100, lastStable: 100}, now)
	now = now.Add(2 * heldFor)
	told(0)
	for range 2 {
		part.hear(&fetched{highWatermark: 200, lastStable: 100}, now)
		now = now.Add(heldFor)
	}
	told(1)
	told(1)
	if text.count("first=3") != 1 {
		t.Errorf("the partition is not named: %s", &text.b)
	}
	part.hear(&fetched{highWatermark: 200, lastStable: 200}, now)
	told(1)
	part.hear(&fetched{highWatermark: 300, lastStable: 200}, now)
	now = now.Add(heldFor)
	told(2)
}
