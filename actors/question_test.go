package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// stuck is a core that answers slowly.
type stuck struct {
	Core
	entered chan struct{} // a value for each question that is at work
	gate    chan struct{} // a value lets one on
}

func (s stuck) Top(q *window.TopAsk) *rank.Part {
	s.entered <- struct{}{}
	<-s.gate
	return s.Core.Top(q)
}

func TestQuestionsNobodyWaitsForAreDropped(t *testing.T) {
	entered, gate := make(chan struct{}, 1000), make(chan struct{})
	defer close(gate) // whoever is at work still
	h := func([]byte) uint64 { return 0 }
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return stuck{window.New(window.Config{Hash: h}), entered, gate} }
	})
	ask := func(i int) {
		q := &topQuestion{window.TopAsk{Window: messages.Window(10+i) * messages.Window(messages.Second), K: 10}}
		_, err := r.system.ask(r.merger, asked{question: q, deadline: time.Now().Add(10 * time.Millisecond)}, 10*time.Millisecond)
		if !errors.Is(err, errNoAnswer) {
			t.Errorf("question %d: %v", i, err)
		}
	}
	first := make(chan error, 1)
	go func() {
		q := &topQuestion{window.TopAsk{Window: messages.Window1h, K: 10}}
		_, err := r.system.ask(r.merger, asked{question: q, deadline: time.Now().Add(testTimeout)}, testTimeout)
		first <- err
	}()
	for range r.id.Partitions {
		<-entered
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { ask(i) })
	}
	wg.Wait()
	// One question is at work in each shard; the others must be dropped: the
	// gate lets only one pass in each.
	for range r.id.Partitions {
		gate <- struct{}{}
	}
	if err := <-first; err != nil {
		t.Errorf("the one that was at work: %v", err)
	}
	if err := r.Await(r.ctx(), r.send(event("t", "", "", 1))); err != nil {
		t.Fatal(err)
	}
}

// TestCellsOfShardsThatFoldedOthers: what one shard lists another may have in
// its "other".
func TestCellsOfShardsThatFoldedOthers(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	s := r.Settings()
	s.MaxCategories = 1
	if err := r.SetSettings(r.ctx(), s); err != nil {
		t.Fatal(err)
	}
	var pos messages.Position
	truth := make(map[string]uint64)
	for i := range 40 {
		category := fmt.Sprintf("c%d", i%3)
		truth[category]++
		pos = r.send(event(fmt.Sprintf("t%d", i), category, "", 1))
		if err := r.Await(r.ctx(), pos); err != nil {
			t.Fatal(err)
		}
	}
	cells, err := r.Cells(r.ctx(), &messages.CellsQuery{Window: messages.Window1h, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if !cells.CategoriesFolded || len(cells.Categories) == 0 {
		t.Fatalf("cells: %+v", cells)
	}
	for _, c := range cells.Categories {
		if n := truth[c.Name]; c.Name != messages.OtherName && (n < c.Total.Lower || n > c.Total.Upper) {
			t.Errorf("%s: %d is not within %+v", c.Name, n, c.Total)
		}
	}
}

// TestSeriesOfTheFirstTopics: the rows must be the first of the interval that
// the points cover, which begins later than the sliding window does.
func TestSeriesOfTheFirstTopics(t *testing.T) {
	r := newRig(t, messages.ClockEvent, nil)
	at := func(topic string, m messages.Micros, n uint64) messages.Record {
		e := event(topic, "", "", n)
		e.HasTime, e.Time = true, m
		return e
	}
	noon := (1_600_000_000 * messages.Second).Floor(messages.Day) + 12*messages.Hour
	pos := r.send(at("old", noon-6*messages.Day-18*messages.Hour, 9), at("mid", noon-3*messages.Day, 3), at("new", noon, 2))
	s, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{""}, Top: 1, Window: messages.Window7d, Granularity: messages.Day, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Top) != 1 || s.Top[0].Topic != "mid" || s.Top[0].Count != messages.ExactCount(3) {
		t.Errorf("first rows: %+v", s.Top)
	}
	var own, total uint64
	for i := range s.Starts {
		own += s.Counts[0][i].Lower
		total += s.Counts[1][i].Lower
	}
	if own != 3 || total != 5 || s.Topics[0] != "mid" || s.Topics[1] != "" {
		t.Errorf("topics %q: points add up to %d and %d, want 3 and 5", s.Topics, own, total)
	}
}
