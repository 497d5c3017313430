package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestSpreadAnswersAreTrueOfWhatTheyCounted asks while events come, into
// whatever partition: what an answer says must be the whole truth of what it
// has counted, though it takes several rounds, and not all shards have a part in
// each.
func TestSpreadAnswersAreTrueOfWhatTheyCounted(t *testing.T) {
	for _, clock := range []messages.Clock{messages.ClockWall, messages.ClockEvent} {
		r := newRig(t, clock, func(c *Config) { c.Unkeyed = true })
		last := len(r.shards) - 1
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for writer := range uint64(2) {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(writer, 1))
				for at := 1_600_000_000 * messages.Second; ; at += messages.Micros(rng.Int64N(int64(messages.Second))) {
					select {
					case <-stop:
						return
					default:
					}
					var records []messages.Record
					for range 10 {
						e := event(fmt.Sprintf("t%d", min(rng.IntN(60), rng.IntN(60))), "", "", 1)
						e.HasTime, e.Time = clock == messages.ClockEvent, at
						records = append(records, e)
					}
					pos := r.scatter(records, func(i int) int {
						if string(records[i].Topic) == "t0" {
							return last // which has no other topic
						}
						return rng.IntN(last)
					})
					if _, err := r.await(context.Background(), pos, needsAll); err != nil { // which hurries the readers
						t.Error(err)
						return
					}
				}
			})
		}
		for counted := uint64(0); counted < 5000; {
			// So few rows are listed that topics have to be asked for by name.
			q := newSpreadTop(window.TopAsk{Window: messages.Window24h, K: 10}, r.id.Partitions)
			q.depth = 11
			answer, err := r.system.ask(r.merger, asked{question: q, deadline: time.Now().Add(testTimeout)}, testTimeout)
			if err != nil {
				t.Fatal(err)
			}
			got := answer.(*topAnswer)
			truth := make(map[string]uint64)
			for p := range messages.Partition(r.id.Partitions) {
				recount := actorstest.NewRecount(r.id)
				for _, b := range r.log.Blocks(p) {
					if b.Offset < got.applied[p] {
						recount.Take(&b)
					}
				}
				for _, e := range recount.Entries {
					if e.Slice >= got.Start && e.Slice < got.End {
						truth[e.Topic] += e.Count
					}
				}
			}
			counted = got.union.Total.Lower
			rows, _, exact := rank.Merge([]*rank.Part{got.union}, 10)
			if !exact {
				t.Errorf("not exact: %+v", rows)
			}
			for _, row := range rows {
				if row.Count != messages.ExactCount(truth[row.Topic]) {
					t.Errorf("%s has %+v, want %d", row.Topic, row.Count, truth[row.Topic])
				}
			}
			if t.Failed() {
				break
			}
		}
		close(stop)
		wg.Wait()
	}
}

// TestSpreadAnswersAreOfOneState: what is counted by one shard while another
// still lists is no part of the answer; the topic that is asked for by name then
// would have more than the lists' total.
func TestSpreadAnswersAreOfOneState(t *testing.T) {
	listed, gate := make(chan struct{}), make(chan struct{})
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.Unkeyed = true
		h := newHashes(&c.Identity)
		c.NewCore = func() Core { return listing{window.New(window.Config{Hash: h.topic}), listed, gate} }
	})
	// Each of two shards lists one of the topics and is asked for the other.
	pos := r.scatter([]messages.Record{event("a", "", "", 9), event("b", "", "", 9), event("b", "", "", 1), event("a", "", "", 1)}, func(i int) int { return i % 2 })
	if _, err := r.await(r.ctx(), pos, needsAll); err != nil {
		t.Fatal(err)
	}
	q := newSpreadTop(window.TopAsk{Window: messages.Window1h, K: 2}, r.id.Partitions)
	q.depth, q.most = 1, 1
	answers := make(chan any, 1)
	go func() {
		answer, err := r.system.ask(r.merger, asked{question: q, deadline: time.Now().Add(testTimeout)}, testTimeout)
		if err != nil {
			answer = err
		}
		answers <- answer
	}()
	<-listed
	pos = r.scatter([]messages.Record{event("a", "", "", 5), event("b", "", "", 5)}, func(int) int { return 1 })
	// The second shard could count them now, and has to wait.
	soon, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.await(soon, pos, needsAll); err == nil {
		t.Error("a shard did not stand still between two rounds")
	}
	close(gate)
	answer, ok := (<-answers).(*topAnswer)
	if !ok {
		t.Fatal(answer)
	}
	if rows := answer.union.Rows; len(rows) != 2 || rows[0].Count.Add(rows[1].Count) != answer.union.Total {
		t.Errorf("two topics have %+v of %+v", rows, answer.union.Total)
	}
	if _, err := r.await(r.ctx(), pos, needsAll); err != nil { // nothing stands still for ever
		t.Fatal(err)
	}
}

// listing is a core that tells when it has listed b first, and that lists a first
// only once the gate is open.
type listing struct {
	Core
	listed, gate chan struct{}
}

func (l listing) Top(q *window.TopAsk) *rank.Part {
	p := l.Core.Top(q)
	if len(p.Rows) > 0 && p.Rows[0].Topic == "b" {
		close(l.listed)
	}
	if len(p.Rows) > 0 && p.Rows[0].Topic == "a" {
		<-l.gate
	}
	return p
}

// scatter appends the records, each to the partition that home says.
func (r *rig) scatter(records []messages.Record, home func(i int) int) messages.Position {
	r.t.Helper()
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: messages.Micros(r.now.Load())}
	blocks := make([]messages.Block, r.id.Partitions)
	for i := range records {
		b := &blocks[home(i)]
		b.Data = records[i].AppendTo(b.Data)
		b.Records++
	}
	for p, b := range blocks {
		if b.Partition = messages.Partition(p); b.Records > 0 {
			f.Blocks = append(f.Blocks, b)
		}
	}
	pos := make(messages.Position, r.id.Partitions)
	if err := r.log.Append(context.Background(), f, pos); err != nil {
		r.t.Error(err)
	}
	return pos
}

// TestEngineOfAnUnkeyedLog asks through the engine: every topic is in every
// partition, and each answer is the sum.
func TestEngineOfAnUnkeyedLog(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.Unkeyed = true })
	rng := rand.New(rand.NewPCG(3, 3))
	var pos messages.Position
	for range 50 {
		records := []messages.Record{event("a", "music", "IN", 3), event("b", "news", "US", 2), event("c", "music", "IN", 1), event("d", "news", "IN", 1)}
		pos = r.scatter(records, func(int) int { return rng.IntN(len(r.shards)) })
	}
	for _, k := range []int{1, 2, 10} {
		b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: k, After: pos})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "b", "c", "d"}[:min(k, 4)]; !b.Exact || !slices.Equal(topicsOf(b.Rows), want) || b.Rows[0].Count != messages.ExactCount(150) || b.Total != messages.ExactCount(350) {
			t.Errorf("first %d: %+v", k, b)
		}
	}
	b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 10, MaxPerCategory: 1, Exclude: []string{"a"}, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(topicsOf(b.Rows), []string{"b", "c"}) || !b.Exact || b.Rows[0].Category != "news" {
		t.Errorf("one of each category: %+v", b)
	}
	counts, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{"c", "never", "b"}, Window: messages.Window1h, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if want := []messages.Count{messages.ExactCount(50), {}, messages.ExactCount(100)}; !slices.Equal(counts.Counts, want) {
		t.Errorf("counts %+v, want %+v", counts.Counts, want)
	}
	place, err := r.Rank(r.ctx(), &messages.RankQuery{Topic: "b", Window: messages.Window1h, Around: 1, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if place.Lower != 2 || place.Upper != 2 || place.First != 1 || !slices.Equal(topicsOf(place.Neighbours), []string{"a", "b", "c"}) {
		t.Errorf("rank %+v", place)
	}
	series, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{""}, Top: 1, Window: messages.Window1h, Granularity: 5 * messages.Minute, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(series.Starts) - 1; !slices.Equal(series.Topics, []string{"a", ""}) || series.Counts[0][n] != messages.ExactCount(150) || series.Counts[1][n] != messages.ExactCount(350) {
		t.Errorf("series %+v", series)
	}
	topics, err := r.Topics(r.ctx(), &messages.TopicsQuery{Prefix: "d", Window: messages.Window1h, Limit: 3, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if len(topics.Rows) != 1 || topics.Rows[0].Count != messages.ExactCount(50) {
		t.Errorf("topics %+v", topics)
	}
	cells, err := r.Cells(r.ctx(), &messages.CellsQuery{Window: messages.Window1h, After: pos})
	if err != nil {
		t.Fatal(err)
	}
	if want := []messages.CellTotal{{Name: "music", Total: messages.ExactCount(200)}, {Name: "news", Total: messages.ExactCount(150)}}; !slices.Equal(cells.Categories, want) {
		t.Errorf("cells %+v", cells)
	}
}

// TestErrorsOfSketchesAddUp: the sum of four shards' counts is wrong if one of
// them is.
func TestErrorsOfSketchesAddUp(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.Unkeyed = true
		c.NewCore = func() Core { return sketchy{window.New(window.Config{Hash: func([]byte) uint64 { return 0 }})} }
	})
	for _, ask := range []func() (messages.SketchError, error){
		func() (messages.SketchError, error) {
			b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 1})
			return b.SketchError, err
		},
		func() (messages.SketchError, error) {
			c, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{"a"}, Window: messages.Window1h})
			return c.SketchError, err
		},
	} {
		if e, err := ask(); err != nil || e != (messages.SketchError{Epsilon: 0.25, Delta: 0.04}) {
			t.Errorf("the error in use is %+v, %v", e, err)
		}
	}
}

// TestBoardsLearnHowMuchIsListed: topics of which each shard has its own first
// ones need longer lists; the next pull asks for them at once.
func TestBoardsLearnHowMuchIsListed(t *testing.T) {
	a := &boardActor{spread: 4}
	ask := window.TopAsk{Window: messages.Window1h, K: 10}
	first := a.question(ask).(*spreadTop)
	a.learn(&topAnswer{depth: 77})
	if next := a.question(ask).(*spreadTop); next.depth != 77 || next.most != first.most {
		t.Errorf("next, %d rows are listed, at most %d", next.depth, next.most)
	}
	if other := a.question(window.TopAsk{Window: messages.Window1h, K: 100}).(*spreadTop); other.depth != leastDepth(100) {
		t.Errorf("another board lists %d rows", other.depth)
	}
	if filtered := a.question(window.TopAsk{Window: messages.Window1h, K: maxPull, Categories: true}).(*spreadTop); filtered.k != maxSpreadPull {
		t.Errorf("a filtered board is made of %d rows", filtered.k)
	}
	a.question(ask)
	a.learn(&topAnswer{vain: true})
	for range calmPulls {
		q := a.question(ask).(*spreadTop)
		if q.depth != first.depth || q.most != q.depth {
			t.Fatalf("after a vain pull %d rows are listed, at most %d", q.depth, q.most)
		}
		a.learn(&topAnswer{vain: true})
	}
	if q := a.question(ask).(*spreadTop); q.most != first.most {
		t.Error("longer lists are never tried again")
	}
}
