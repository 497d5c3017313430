package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// rig is an engine over a log in memory, with a node clock the test moves.
type rig struct {
	*Engine
	t      *testing.T
	id     *messages.LogIdentity
	log    *actorstest.MemLog
	now    *atomic.Int64
	routes messages.Routes
}

func newRig(t *testing.T, clock messages.Clock, change func(*Config)) *rig {
	t.Helper()
	id := &messages.LogIdentity{ID: messages.LogID{7}, Partitions: 4, Clock: clock, HashKey: [32]byte{3}, Settings: messages.DefaultSettings()}
	r := &rig{t: t, id: id, log: actorstest.NewMemLog(id), now: new(atomic.Int64), routes: messages.NewRoutes(id)}
	r.now.Store(int64(1_700_000_000 * messages.Second))
	r.start(change)
	return r
}

// start runs an engine over the rig's log until the test ends.
func (r *rig) start(change func(*Config)) {
	r.t.Helper()
	cfg := DefaultConfig()
	cfg.Log, cfg.Identity, cfg.Logger = r.log, *r.id, slog.New(slog.DiscardHandler)
	cfg.Now = func() messages.Micros { return messages.Micros(r.now.Load()) }
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Engine = e
	r.t.Cleanup(e.Close)
	if err := e.WaitReady(r.ctx()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	r.t.Cleanup(cancel)
	return ctx
}

// frame is a request with these records.
func (r *rig) frame(records ...messages.Record) *messages.Frame {
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: messages.Micros(r.now.Load())}
	blocks := make([]messages.Block, r.id.Partitions)
	for i := range records {
		b := &blocks[r.routes.Of(records[i].Topic)]
		b.Data = records[i].AppendTo(b.Data)
		b.Records++
	}
	for p, b := range blocks {
		if b.Partition = messages.Partition(p); b.Records > 0 {
			f.Blocks = append(f.Blocks, b)
		}
	}
	return f
}

// send appends the records and returns their position.
func (r *rig) send(records ...messages.Record) messages.Position {
	r.t.Helper()
	pos := make(messages.Position, r.id.Partitions)
	if err := r.log.Append(context.Background(), r.frame(records...), pos); err != nil {
		r.t.Fatal(err)
	}
	return pos
}

func event(topic, category, region string, count uint64) messages.Record {
	return messages.Record{Topic: []byte(topic), Category: []byte(category), Region: []byte(region), Count: count}
}

func TestEngineAnswersWhatWasCounted(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		r := newRig(t, messages.ClockWall, nil)
		pos := r.send(event("a", "music", "IN", 3), event("b", "music", "US", 5), event("c", "news", "", 1), event("a", "music", "US", 4))
		board, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 2, After: pos})
		if err != nil {
			t.Fatal(err)
		}
		if len(board.Rows) != 2 || board.Rows[0].Topic != "a" || board.Rows[0].Count != messages.ExactCount(7) || board.Rows[1].Topic != "b" {
			t.Errorf("rows: %+v", board.Rows)
		}
		if !board.Exact || board.Certified != 2 || board.Total != messages.ExactCount(13) {
			t.Errorf("exact %v, certified %d, total %v", board.Exact, board.Certified, board.Total)
		}
		counts, err := r.Counts(r.ctx(), &messages.CountQuery{Topics: []string{"c", "a", "nobody"}, Window: messages.WindowAll})
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint([]messages.Count{messages.ExactCount(1), messages.ExactCount(7), {}}); fmt.Sprint(counts.Counts) != want {
			t.Errorf("counts %v, want %v", counts.Counts, want)
		}
		rank, err := r.Rank(r.ctx(), &messages.RankQuery{Topic: "c", Window: messages.Window1h, Around: 1})
		if err != nil {
			t.Fatal(err)
		}
		if rank.Lower != 3 || rank.Upper != 3 || rank.First != 2 || len(rank.Neighbours) != 2 || rank.Neighbours[0].Topic != "b" {
			t.Errorf("rank %+v", rank)
		}
		cells, err := r.Cells(r.ctx(), &messages.CellsQuery{Window: messages.Window1h})
		if err != nil {
			t.Fatal(err)
		}
		if len(cells.Categories) != 2 || cells.Categories[0] != (messages.CellTotal{Name: "music", Total: messages.ExactCount(12)}) || len(cells.Regions) != 2 {
			t.Errorf("cells %+v", cells)
		}
		topics, err := r.Topics(r.ctx(), &messages.TopicsQuery{Prefix: "b", Window: messages.Window1h, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		if len(topics.Rows) != 1 || topics.Rows[0].Topic != "b" {
			t.Errorf("topics %+v", topics)
		}
		series, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{"a", ""}, Window: messages.Window1h, Granularity: 5 * messages.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(series.Starts); n != 12 || series.Counts[0][n-1] != messages.ExactCount(7) || series.Counts[1][n-1] != messages.ExactCount(13) {
			t.Errorf("series %+v", series)
		}
		var finest *messages.NotKeptError
		if _, err := r.Series(r.ctx(), &messages.SeriesQuery{Topics: []string{"a"}, Window: messages.Window24h, Granularity: messages.Minute}); !errors.As(err, &finest) {
			t.Errorf("a minute's granularity over a day: %v", err)
		}
	})
}

// TestBoardsReferToOneMoment replays days in seconds with the event clock and
// asks for boards meanwhile: every answer must be the whole truth of some
// prefix of each partition at one common end.
func TestBoardsReferToOneMoment(t *testing.T) {
	r := newRig(t, messages.ClockEvent, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(1, 1))
		at := 1_600_000_000 * messages.Second
		for range 300 {
			var records []messages.Record
			for range 20 {
				at += messages.Micros(rng.Int64N(int64(10 * messages.Minute)))
				e := event(fmt.Sprintf("t%d", rng.IntN(50)), "", "", 1)
				e.HasTime, e.Time = true, at
				records = append(records, e)
			}
			r.send(records...)
		}
	})
	for range 50 {
		answer, err := r.system.ask(r.merger, asked{&topQuestion{window.TopAsk{Window: messages.Window24h, K: 100}}, time.Now().Add(askTimeout)}, askTimeout)
		if err != nil {
			t.Fatal(err)
		}
		got := answer.(*topAnswer)
		want := uint64(0)
		for p := range messages.Partition(r.id.Partitions) {
			recount := actorstest.NewRecount(r.id)
			for _, b := range r.log.Blocks(p) {
				if b.Offset < got.applied[p] {
					recount.Take(&b)
				}
			}
			for _, e := range recount.Entries {
				if e.Slice >= got.Start && e.Slice < got.End {
					want += e.Count
				}
			}
		}
		if got.union.Total.Lower != want {
			t.Fatalf("total of %v to %v: %d, want %d", got.Start.Time(), got.End.Time(), got.union.Total.Lower, want)
		}
	}
	wg.Wait()
}

func TestRestartGivesTheSameLedgerAndBoards(t *testing.T) {
	r := newRig(t, messages.ClockEvent, nil)
	rng := rand.New(rand.NewPCG(5, 5))
	var pos messages.Position
	for range 100 {
		var records []messages.Record
		for range 30 {
			e := randomRecord(rng, 1_600_000_000*messages.Second)
			records = append(records, e)
		}
		pos = r.send(records...)
	}
	state := func() string {
		t.Helper()
		ends := make(messages.Position, len(pos))
		r.log.Ends(ends)
		if err := r.Await(r.ctx(), ends); err != nil {
			t.Fatal(err)
		}
		ledger, _ := r.Ledger(r.ctx())
		for _, l := range ledger {
			if l.Logged != l.Counted+l.Duplicates+l.DeadLettered {
				t.Errorf("ledger does not balance: %+v", l)
			}
		}
		board, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.WindowAll, K: 100, After: ends})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v %+v %s", ledger, board.Rows, board.Version)
	}
	first := state()
	r.start(nil)
	if second := state(); second != first {
		t.Errorf("after a restart:\n%s\nbefore:\n%s", second, first)
	}
}

func TestFullDedupTableRefusesAndEmptiesByTicks(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.DedupMemory = 16 << 10 })
	refused := func() bool {
		e := event("t", "", "", 1)
		e.ID = []byte("probe")
		err := r.Admit(r.ctx(), r.frame(e), true)
		var refusal *messages.RefusedError
		if err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		return err != nil
	}
	for i := 0; !refused(); i++ {
		if i > 100_000 {
			t.Fatal("the table never gets full")
		}
		e := event("t", "", "", 1)
		e.ID = fmt.Appendf(nil, "id-%d", i)
		if err := r.Await(r.ctx(), r.send(e)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); err != nil {
		t.Errorf("an event without an id is refused: %v", err)
	}
	// No event moves log time on now, only what the refusals append.
	r.now.Add(int64(20 * messages.Minute))
	r.lastTick.Store(0)
	refused() // asks for the tick
	ends := make(messages.Position, r.id.Partitions)
	r.log.Ends(ends)
	if err := r.Await(r.ctx(), ends); err != nil {
		t.Fatal(err)
	}
	if refused() {
		t.Error("still full a window later")
	}
}

// TestFullMemoryCountsOn: with no memory for rows everything is taken, answered
// within bounds, and the error in use is told.
func TestFullMemoryCountsOn(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) { c.EngineMemory = 1 })
	for i := range 50 {
		e := event(fmt.Sprintf("t%d", i), "c", "R", 1)
		if err := r.Admit(r.ctx(), r.frame(e), false); err != nil {
			t.Fatal(err)
		}
		if err := r.Await(r.ctx(), r.send(e)); err != nil {
			t.Fatal(err)
		}
	}
	q := &messages.CountQuery{Topics: []string{"t7", "never"}, Window: messages.Window1h}
	got, err := r.Counts(r.ctx(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got.Total != messages.ExactCount(50) || got.Counts[0].Lower > 1 || got.Counts[0].Upper < 1 || got.Epsilon == 0 || got.Delta == 0 {
		t.Errorf("got %+v", got)
	}
	b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 10})
	if err != nil {
		t.Fatal(err)
	}
	if b.Exact || b.Epsilon == 0 || b.Total != messages.ExactCount(50) {
		t.Errorf("got %+v", b)
	}
}

func TestSettingsAreChangedInTheLog(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	s := r.Settings()
	s.MaxCategories = 1
	if err := r.SetSettings(r.ctx(), s); err != nil {
		t.Fatal(err)
	}
	if r.Settings() != s {
		t.Errorf("settings %+v, want %+v", r.Settings(), s)
	}
	r.start(nil)
	if r.Settings() != s {
		t.Errorf("settings after a restart %+v, want %+v", r.Settings(), s)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := r.Await(ctx, messages.Position{1_000_000, 0, 0, 0}); !errors.Is(err, messages.ErrBehind) {
		t.Errorf("await of what never comes: %v", err)
	}
}

func TestABrokenLogStopsThePartitionLoudly(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	r.log.Break(errors.New("bit rot"))
	err := r.Await(r.ctx(), messages.Position{1, 0, 0, 0})
	if !errors.Is(err, messages.ErrPartition) {
		t.Fatalf("await: %v", err)
	}
	if err := r.Admit(r.ctx(), r.frame(event("t", "", "", 1)), false); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("admit: %v", err)
	}
	if _, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 1}); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("a board that lacks what was not read: %v", err)
	}
	if err := r.Ready(); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("ready: %v", err)
	}
}

// panicky is a core that breaks at the first delta with rows.
type panicky struct{ Core }

func (p panicky) Apply(d *window.Delta) {
	if len(d.Rows) > 0 {
		panic("broken invariant")
	}
	p.Core.Apply(d)
}

func TestAPanicFailsThePartitionInsteadOfRestartingItEmpty(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return panicky{window.New(window.Config{Hash: func([]byte) uint64 { return 0 }})} }
	})
	if err := r.Await(r.ctx(), r.send(event("t", "", "", 1))); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("await: %v", err)
	}
	if _, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 1}); !errors.Is(err, messages.ErrPartition) {
		t.Errorf("board: %v", err)
	}
}

func TestConcurrentReadersAndWriters(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				topic := fmt.Sprintf("w%d", w)
				pos := r.send(event(topic, "c", "R", 1))
				b, err := r.Board(r.ctx(), &messages.BoardQuery{Window: messages.Window1h, K: 10, After: pos})
				if err != nil {
					t.Error(err)
					return
				}
				for _, row := range b.Rows {
					if row.Topic == topic && row.Count.Lower < uint64(i+1) {
						t.Errorf("own write %d not in the board: %+v", i, row)
					}
				}
				r.now.Add(int64(50 * messages.Millisecond))
			}
		})
	}
	wg.Wait()
}

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
		for deadline := time.Now().Add(5 * time.Second); ; {
			status, err := r.Status(r.ctx())
			if err != nil {
				t.Fatal(err)
			}
			if status.Boards == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a board that nobody asks for is still there after 5 s")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// stuck is a core that answers slowly.
type stuck struct {
	Core
	gate chan struct{}
}

func (s stuck) Top(q *window.TopAsk) *rank.Part {
	<-s.gate
	return s.Core.Top(q)
}

func TestQuestionsNobodyWaitsForAreDropped(t *testing.T) {
	gate := make(chan struct{})
	h := func([]byte) uint64 { return 0 }
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return stuck{window.New(window.Config{Hash: h}), gate} }
	})
	ask := func(i int) {
		q := &topQuestion{window.TopAsk{Window: messages.Window(10+i) * messages.Window(messages.Second), K: 10}}
		_, err := r.system.ask(r.merger, asked{q, time.Now().Add(10 * time.Millisecond)}, 10*time.Millisecond)
		if !errors.Is(err, errNoAnswer) {
			t.Errorf("question %d: %v", i, err)
		}
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

// swollen is a core that says it holds far more than it should.
type swollen struct{ *window.Table }

func (s swollen) Stats() window.Stats {
	stats := s.Table.Stats()
	stats.Memory.Rows = 4 << 30
	return stats
}

func TestAnEngineFarBeyondItsMemoryRefusesEvents(t *testing.T) {
	id := &messages.LogIdentity{HashKey: [32]byte{3}}
	h := newHashes(id)
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return swollen{window.New(window.Config{Hash: h.topic})} }
	})
	if err := r.Admit(r.ctx(), r.frame(event("a", "", "", 1)), false); err != nil {
		t.Errorf("an empty engine: %v", err)
	}
	if err := r.Await(r.ctx(), r.send(event("a", "", "", 1))); err != nil {
		t.Fatal(err)
	}
	var refusal *messages.RefusedError
	if err := r.Admit(r.ctx(), r.frame(event("a", "", "", 1)), false); !errors.As(err, &refusal) || refusal.RetryAfter <= 0 {
		t.Errorf("a swollen one: %v, want a refusal", err)
	}
}
