package actors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/messages"
)

// losing is an engine of four partitions with counts in all of them: topics[p] has
// p + 1, all in one snapshot. One partition has then lost what comes next in its
// log: at the engine's start, or while it runs.
func losing(t *testing.T, clock messages.Clock, lost messages.Partition, atStart bool, change func(*Config)) (r *rig, topics []string) {
	t.Helper()
	kept := new(actorstest.MemSnapshots)
	set := func(c *Config) {
		keeping(kept)(c)
		if change != nil {
			change(c)
		}
	}
	r = newRig(t, clock, set)
	topics = make([]string, r.id.Partitions)
	for i, found := 0, 0; found < len(topics); i++ {
		name := fmt.Sprintf("t%d", i)
		if p := r.routes.Of([]byte(name)); topics[p] == "" {
			topics[p], found = name, found+1
		}
	}
	send := func() {
		var pos messages.Position
		for p, topic := range topics {
			e := event(topic, "", "", uint64(p+1))
			e.HasTime, e.Time = true, messages.Micros(r.now.Load())
			if messages.Partition(p) != lost { // whose clock is the furthest
				e.Time -= messages.Minute
			}
			pos = r.send(e)
		}
		r.log.Ends(pos)
		if err := r.Await(r.ctx(), pos); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if _, err := r.Snapshot(r.ctx()); err != nil {
		t.Fatal(err)
	}
	if !atStart {
		r.log.Break(messages.ErrLost, lost)
		r.send(event(topics[lost], "", "", 1))
		eventually(t, "the partition has failed", func() bool { return r.Ready() != nil })
		return r, topics
	}
	r.Engine.Close()
	r.send(event(topics[lost], "", "", 1))
	r.open(func(c *Config) {
		set(c)
		c.Snapshots = &lossy{kept, lost}
	})
	if err := r.WaitReady(r.ctx()); !failedOf(err, lost) {
		t.Fatalf("the others are ready, and the engine says %v", err)
	}
	return r, topics
}

// failedOf tells whether an error says that partition p has lost its log.
func failedOf(err error, p messages.Partition) bool {
	var f *messages.PartitionError
	return errors.As(err, &f) && f.Partition == p && strings.Contains(f.Cause.Error(), messages.ErrLost.Error()) &&
		errors.Is(err, messages.ErrLost) && errors.Is(err, messages.ErrPartition) && !errors.Is(err, messages.ErrBehind)
}

// TestWithoutALostPartitionTheRestIsAnswered: what needs it fails at once and
// names it; nothing silently lacks it.
func TestWithoutALostPartitionTheRestIsAnswered(t *testing.T) {
	for _, clock := range []messages.Clock{messages.ClockWall, messages.ClockEvent} {
		for _, lost := range []messages.Partition{0, 2} {
			for _, atStart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v clock, partition %d, at the start: %v", clock, lost, atStart), func(t *testing.T) {
					r, topics := losing(t, clock, lost, atStart, nil)
					answersTheRest(t, r, topics, lost)
				})
			}
		}
	}
}

func answersTheRest(t *testing.T, r *rig, topics []string, lost messages.Partition) {
	const w = messages.Window1h
	if err := r.Ready(); !failedOf(err, lost) {
		t.Errorf("ready: %v", err)
	}
	good := messages.Partition(1)
	next := event(topics[good], "", "", 5)
	next.HasTime, next.Time = true, messages.Micros(r.now.Load())-messages.Minute
	if err := r.Admit(r.ctx(), r.frame(next), false); err != nil {
		t.Errorf("an event for a partition that runs is refused: %v", err)
	}
	pos := r.send(next)
	others := []string{}
	for p, topic := range topics {
		if messages.Partition(p) != lost {
			others = append(others, topic)
		}
	}
	total := uint64(1 + 2 + 3 + 4 + 5 - (int(lost) + 1))
	got, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: others, Window: w, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	for i, topic := range others {
		want := uint64(r.routes.Of([]byte(topic)) + 1)
		if topic == topics[good] {
			want += 5
		}
		if got.Counts[i] != messages.ExactCount(want) {
			t.Errorf("%s has %+v, want %d", topic, got.Counts[i], want)
		}
	}
	if want := (messages.Count{Lower: total, Estimate: total, Upper: math.MaxUint64}); got.Total != want {
		t.Errorf("the total is %+v, want %+v", got.Total, want)
	}
	if got.AsOf != r.EngineTime() {
		t.Errorf("as of %d, and the engine time is %d", got.AsOf, r.EngineTime())
	}
	series := &messages.SeriesQuery{Topics: []string{topics[good]}, Window: w, Granularity: messages.Hour, After: pos}
	s, err := r.Series(r.ctx(), series)
	if err != nil || s.Counts[0][0] != messages.ExactCount(uint64(good)+1+5) {
		t.Errorf("series %+v, %v", s, err)
	}

	behind := r.send(event(topics[lost], "", "", 1))
	for name, ask := range map[string]func() error{
		"count": func() error {
			_, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{topics[lost]}, Window: w})
			return err
		},
		"counts of which one is lost": func() error {
			_, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: topics, Window: w})
			return err
		},
		"another's count, after what is lost": func() error {
			_, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{topics[good]}, Window: w, After: behind})
			return err
		},
		"series": func() error {
			_, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{topics[lost]}, Window: w, Granularity: messages.Hour})
			return err
		},
		"the total's series": func() error {
			_, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{""}, Window: w, Granularity: messages.Hour})
			return err
		},
		"the first topics' series": func() error {
			_, err := r.Series(r.ctx(), &messages.SeriesQuery{Top: 1, Window: w, Granularity: messages.Hour})
			return err
		},
		"board": func() error {
			_, err := r.Board(r.ctx(), &messages.BoardQuery{Window: w, K: 1})
			return err
		},
		"rank": func() error {
			_, err := r.Rank(r.ctx(), &messages.RankQuery{Topic: topics[good], Window: w})
			return err
		},
		"topics": func() error {
			_, err := r.Topics(r.ctx(), &messages.TopicsQuery{Window: w, Limit: 1})
			return err
		},
		"cells": func() error {
			_, err := r.Cells(r.ctx(), &messages.CellsQuery{Window: w})
			return err
		},
		"await":    func() error { return r.Await(r.ctx(), behind) },
		"key":      func() error { _, err := r.Seen(r.ctx(), &messages.KeyQuery{Key: keyAt(r, lost)}); return err },
		"snapshot": func() error { _, err := r.Snapshot(r.ctx()); return err },
	} {
		if err := ask(); !failedOf(err, lost) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if v, err := r.Seen(r.ctx(), &messages.KeyQuery{Key: keyAt(r, good)}); err != nil || v.State != messages.KeyNew {
		t.Errorf("a key whose home runs: %+v, %v", v, err)
	}
	settings := r.Settings()
	settings.MaxCategories++
	if err := r.SetSettings(r.ctx(), settings); err != nil || r.Settings() != settings || !r.SettingsAgree() {
		t.Errorf("settings %+v, agreed %v, %v: want %+v", r.Settings(), r.SettingsAgree(), err, settings)
	}
	pos = r.send(event(topics[good], "", "", 1))
	taken, err := r.Snapshot(r.ctx())
	if len(taken) != len(topics)-1 || !failedOf(err, lost) { // all have new settings
		t.Errorf("snapshots %+v, %v", taken, err)
	}
	for _, s := range taken {
		if s.Partition == lost || s.Partition == good && s.Offset != pos[good] {
			t.Errorf("a snapshot %+v", s)
		}
	}
}

// keyAt is an Idempotency-Key with its home in partition p.
func keyAt(r *rig, p messages.Partition) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("key-%d", i); r.routes.Home(key) == p {
			return key
		}
	}
}

// TestAnUnkeyedLogNeedsEveryPartition: a topic may have counts anywhere.
func TestAnUnkeyedLogNeedsEveryPartition(t *testing.T) {
	r, topics := losing(t, messages.ClockWall, 2, false, func(c *Config) { c.Unkeyed = true })
	if got, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: topics[1:2], Window: messages.Window1h}); !failedOf(err, 2) {
		t.Errorf("count %+v, %v", got, err)
	}
	series := &messages.SeriesQuery{Topics: topics[1:2], Window: messages.Window1h, Granularity: messages.Hour}
	if got, err := r.Series(r.ctx(), series); !failedOf(err, 2) {
		t.Errorf("series %+v, %v", got, err)
	}
}

// TestWhatIsLostHoldsNobodyUp: entries of a partition that has lost its log are
// counted by nobody here, and are no lag; what its tables hold is never given back,
// and leaves their room to the others.
func TestWhatIsLostHoldsNobodyUp(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.MaxLag, c.DedupMemory = 10, 16<<10 })
	lost := r.routes.Of([]byte("t"))
	other := "u0"
	for i := 1; r.routes.Of([]byte(other)) == lost; i++ {
		other = fmt.Sprintf("u%d", i)
	}
	withID := func(topic, id string) messages.Record {
		e := event(topic, "", "", 1)
		e.ID = []byte(id)
		return e
	}
	admitted := func() error { return r.Admit(r.ctx(), r.frame(withID(other, "probe")), true) }
	for i := 0; admitted() == nil; i++ {
		if i > 100_000 {
			t.Fatal("the table never gets full")
		}
		if err := r.Await(r.ctx(), r.send(withID("t", fmt.Sprintf("id-%d", i)))); err != nil {
			t.Fatal(err)
		}
	}
	r.log.Break(messages.ErrLost, lost)
	for range 20 {
		r.send(event("t", "", "", 1))
	}
	eventually(t, "the partition has failed", func() bool { return r.Ready() != nil })
	if err := admitted(); err != nil {
		t.Errorf("an event for another partition: %v", err)
	}
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); err != nil {
		t.Errorf("an event for the lost one, which its log takes: %v", err)
	}
}

// slowly is a log of which one partition is read only once open is closed.
type slowly struct {
	Log
	of   messages.Partition
	open chan struct{}
}

func (l *slowly) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	if p == l.of {
		select {
		case <-l.open:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l.Log.Read(ctx, p, from, b)
}

// TestALostPartitionIsNotWaitedForAtTheStart: the others are.
func TestALostPartitionIsNotWaitedForAtTheStart(t *testing.T) {
	const lost, slow = messages.Partition(2), messages.Partition(1)
	r, topics := losing(t, messages.ClockWall, lost, true, nil)
	r.Engine.Close()
	r.send(event(topics[slow], "", "", 1))
	log := &slowly{r.log, slow, make(chan struct{})}
	r.log.Break(messages.ErrLost, lost)
	r.open(func(c *Config) { c.Log = log })
	eventually(t, "the lost one is told while the other is awaited", func() bool {
		err := r.Ready()
		return errors.Is(err, messages.ErrNotReady) && strings.Contains(err.Error(), "partition 2") && strings.Contains(err.Error(), "has lost")
	})
	ask := func() (*messages.Counts, error) {
		return r.Counts(r.ctx(), &messages.CountQuery{Topics: topics[slow : slow+1], Window: messages.Window1h})
	}
	if got, err := ask(); !errors.Is(err, messages.ErrNotReady) {
		t.Errorf("what is replayed is asked, and answered %+v, %v", got, err)
	}
	if err := r.Admit(r.ctx(), r.frame(event(topics[slow], "", "", 1)), false); !errors.Is(err, messages.ErrNotReady) {
		t.Errorf("admit: %v", err)
	}
	close(log.open)
	if err := r.WaitReady(r.ctx()); !failedOf(err, lost) {
		t.Errorf("replayed, and it says %v", err)
	}
	if got, err := ask(); err != nil || got.Counts[0] != messages.ExactCount(uint64(slow)+1+1) {
		t.Errorf("replayed, and the count is %+v, %v", got, err)
	}
}

// TestAFailureThatIsNoLossRefusesEvents: its log may be damaged, and what is
// appended behind that be lost. Questions that do not need it are answered.
func TestAFailureThatIsNoLossRefusesEvents(t *testing.T) {
	const lost, broken = messages.Partition(0), messages.Partition(3)
	r, topics := losing(t, messages.ClockWall, lost, false, nil)
	r.log.Break(errors.New("bit rot"), broken)
	r.send(event(topics[broken], "", "", 1))
	var f *messages.PartitionError
	eventually(t, "it is the worse one", func() bool {
		err := r.Ready()
		return errors.As(err, &f) && f.Partition == broken && strings.Contains(err.Error(), "bit rot") && strings.Contains(err.Error(), "as have 1 more")
	})
	if err := r.Admit(r.ctx(), r.frame(event(topics[1], "", "", 1)), false); !errors.Is(err, messages.ErrPartition) || errors.Is(err, messages.ErrLost) {
		t.Errorf("admit: %v", err)
	}
	got, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: topics[1:2], Window: messages.Window1h})
	if err != nil || got.Counts[0] != messages.ExactCount(2) {
		t.Errorf("count %+v, %v", got, err)
	}
}

// TestWithoutAnyPartitionNothingIsReady, and nothing comes into force.
func TestWithoutAnyPartitionNothingIsReady(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	r.log.Break(messages.ErrLost)
	eventually(t, "all have failed", func() bool { return r.Running() == 0 })
	if err := r.WaitReady(r.ctx()); !failedOf(err, 0) {
		t.Errorf("wait: %v", err)
	}
	settings := r.Settings()
	settings.MaxCategories++
	if err := r.SetSettings(r.ctx(), settings); !failedOf(err, 0) {
		t.Errorf("settings in force nowhere: %v", err)
	}
}
