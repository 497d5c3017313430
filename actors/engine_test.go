package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func TestEngineAnswersWhatWasCounted(t *testing.T) {
	defer goleak.VerifyNone(t)
	defer func() { // what ends behind the engine ends before
		for end := time.Now().Add(testTimeout); goleak.Find() != nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}()
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
		answer, err := r.system.ask(r.merger, asked{question: &topQuestion{window.TopAsk{Window: messages.Window24h, K: 100}}, deadline: time.Now().Add(testTimeout)}, testTimeout)
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
