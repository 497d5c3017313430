package truth_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// few are two events of a, three of b, and one of c, sent twice and late.
func few(t *testing.T) *truth.Events {
	t.Helper()
	var e truth.Events
	for _, l := range []string{
		`{"topic":"a","category":"music","region":"IN","timestamp":1000}`,
		`{"topic":"b","category":"music","region":"US","timestamp":1001,"count":2}`,
		`{"topic":"a","region":"IN","timestamp":"1970-01-01T00:16:42Z"}`,
		`{"topic":"b","category":"news","region":"IN","timestamp":1003}`,
		`{"topic":"c","category":"news","timestamp":500,"event_id":"1"}`,
		`{"topic":"c","category":"news","timestamp":500,"event_id":"1"}`,
	} {
		if err := e.AddLine([]byte(l)); err != nil {
			t.Fatal(err)
		}
	}
	return &e
}

func seconds(n int64) messages.Micros { return messages.Micros(n) * messages.Second }

func TestTally(t *testing.T) {
	e := few(t)
	if n := e.Keys(); n != 6 {
		t.Errorf("%d rows, want 3 topics and 3 of them in a region", n)
	}
	if e.Len() != 5 || e.Latest() != seconds(1003) || len(e.Topics()) != 3 {
		t.Fatalf("%d events of %d topics up to %d", e.Len(), len(e.Topics()), e.Latest())
	}
	for _, c := range []struct {
		name       string
		start, end int64
		cell       messages.Cell
		want       string
	}{
		{"everything", 0, 2000, messages.Cell{}, "[{b 3} {a 2} {c 1}]"},
		{"start counts, end does not", 1000, 1003, messages.Cell{}, "[{a 2} {b 2}]"},
		{"a category", 0, 2000, messages.Cell{Category: "music"}, "[{b 2} {a 1}]"},
		{"a region", 0, 2000, messages.Cell{Region: "IN"}, "[{a 2} {b 1}]"},
		{"a pair", 0, 2000, messages.Cell{Category: "news", Region: "IN"}, "[{b 1}]"},
		{"an unknown region", 0, 2000, messages.Cell{Category: "news", Region: "XX"}, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := e.Tally(seconds(c.start), seconds(c.end), []messages.Cell{{Category: "beside"}, c.cell})[1]
			if s := fmt.Sprint(got.Ranked()); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
			var sum uint64
			for _, r := range got.Ranked() {
				sum += r.Count
				if n := e.Between(r.Topic, seconds(c.start), seconds(c.end), c.cell); n != r.Count || got.Count(r.Topic) != n {
					t.Errorf("%s: %d by topic, %d in the ranking", r.Topic, n, r.Count)
				}
			}
			if got.Total() != sum {
				t.Errorf("total %d, rows add up to %d", got.Total(), sum)
			}
		})
	}
}

func TestTimestampsByMagnitude(t *testing.T) {
	for raw, want := range map[string]messages.Micros{
		`99999999999`:            seconds(99_999_999_999),
		`100000000000`:           100_000_000_000 * messages.Millisecond,
		`100000000000000`:        100_000_000_000_000,
		`"2015-09-12T00:49:12Z"`: messages.MicrosOf(time.Date(2015, 9, 12, 0, 49, 12, 0, time.UTC)),
	} {
		var e truth.Events
		if err := e.AddLine([]byte(`{"topic":"a","timestamp":` + raw + `}`)); err != nil || e.Latest() != want {
			t.Errorf("%s: got %d, %v; want %d", raw, e.Latest(), err, want)
		}
	}
}

// row is an exact, certified row.
func row(rank int, topic string, n uint64) api.BoardRow {
	return api.BoardRow{Rank: rank, Topic: topic, Score: n, Certified: true, Bounds: api.Bounds{Lower: n, Estimate: n, Upper: n}}
}

func trueBoard() api.Board {
	return api.Board{
		Top: 2, Certified: 2, Exact: true,
		Total:  api.Total{Lower: 6, Estimate: 6, Upper: 6},
		Topics: []api.BoardRow{row(1, "b", 3), row(2, "a", 2)},
	}
}

// TestRecallOfTies: the last place is shared by two topics; either is right,
// the one that comes first by name is the true one, and a topic twice is one.
func TestRecallOfTies(t *testing.T) {
	var e truth.Events
	for _, topic := range []string{"a", "a", "b", "c", "d"} {
		if err := e.AddLine([]byte(`{"topic":"` + topic + `","timestamp":1000}`)); err != nil {
			t.Fatal(err)
		}
	}
	all := e.Tally(0, seconds(2000), []messages.Cell{{}})[0]
	for _, c := range []struct {
		second       string
		recall, tied float64
	}{{"b", 1, 1}, {"d", 0.5, 1}, {"a", 0.5, 0.5}, {"x", 0.5, 0.5}} {
		b := api.Board{Top: 2, Topics: []api.BoardRow{row(1, "a", 2), row(2, c.second, 1)}}
		if v := all.Board(&b); v.Recall != c.recall || v.TiedRecall != c.tied {
			t.Errorf("a, %s: recall %v, with ties %v; want %v, %v", c.second, v.Recall, v.TiedRecall, c.recall, c.tied)
		}
	}
}

func TestLargestCells(t *testing.T) {
	want := []messages.Cell{{}, {Category: "music"}, {Region: "IN"}, {Category: "music", Region: "IN"}}
	if got := few(t).LargestCells(1); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := few(t).LargestCells(9); len(got) != 1+2+2+3 {
		t.Errorf("all: %+v", got)
	}
}

// TestJudgeFindsLies changes one statement of a true board at a time.
func TestJudgeFindsLies(t *testing.T) {
	all := few(t).Tally(0, seconds(2000), []messages.Cell{{}})[0]
	b := trueBoard()
	if v := all.Board(&b); len(v.False) > 0 || v.Recall != 1 || v.TiedRecall != 1 || v.MaxError != 0 {
		t.Fatalf("the true board: %+v", v)
	}
	for name, lie := range map[string]func(*api.Board){
		"a count too high":           func(b *api.Board) { b.Topics[0] = row(1, "b", 4) },
		"a count too low":            func(b *api.Board) { b.Topics[1] = row(2, "a", 1) },
		"an estimate out of bounds":  func(b *api.Board) { b.Topics[1].Estimate = 7 },
		"rows the wrong way round":   func(b *api.Board) { b.Topics[0], b.Topics[1] = row(1, "a", 2), row(2, "b", 3) },
		"a row twice":                func(b *api.Board) { b.Topics[1] = row(2, "b", 3) },
		"a row missing":              func(b *api.Board) { b.Topics, b.Certified = b.Topics[:1], 1 },
		"another topic certified":    func(b *api.Board) { b.Exact = false; b.Topics[1] = row(2, "c", 1) },
		"a certified row that isn't": func(b *api.Board) { b.Exact, b.Certified = false, 0; b.Topics[1] = row(2, "c", 1) },
		"more certified than rows":   func(b *api.Board) { b.Certified = 3 },
		"exact, less certified":      func(b *api.Board) { b.Certified = 1 },
		"a wrong rank":               func(b *api.Board) { b.Topics[1].Rank = 3 },
		"a wrong score":              func(b *api.Board) { b.Topics[1].Score = 3 },
		"a wrong total":              func(b *api.Board) { b.Total = api.Total{Lower: 7, Estimate: 7, Upper: 7} },
	} {
		t.Run(name, func(t *testing.T) {
			b := trueBoard()
			lie(&b)
			if v := all.Board(&b); len(v.False) == 0 {
				t.Errorf("%+v was believed", b)
			}
		})
	}
}

// TestJudgeFindsLiesOfInexactBoards: the same for boards that do not claim to
// be exact, so that each check stands alone.
func TestJudgeFindsLiesOfInexactBoards(t *testing.T) {
	all := few(t).Tally(0, seconds(2000), []messages.Cell{{}})[0]
	loose := func(rank int, topic string, lower uint64) api.BoardRow {
		return api.BoardRow{Rank: rank, Topic: topic, Score: lower, Bounds: api.Bounds{Lower: lower, Estimate: lower, Upper: 9}}
	}
	for name, c := range map[string]struct {
		rows      []api.BoardRow
		certified int
		lies      int
	}{
		"the truth":           {[]api.BoardRow{loose(1, "b", 3), loose(2, "a", 2)}, 2, 0},
		"a row missing":       {[]api.BoardRow{loose(1, "b", 3)}, 0, 0},
		"a lower bound":       {[]api.BoardRow{loose(1, "b", 4), loose(2, "a", 2)}, 0, 1},
		"a row twice":         {[]api.BoardRow{loose(1, "b", 3), loose(2, "b", 2)}, 0, 1},
		"the order":           {[]api.BoardRow{loose(1, "a", 2), loose(2, "b", 3)}, 0, 1},
		"the order of a tie":  {[]api.BoardRow{loose(1, "b", 2), loose(2, "a", 2)}, 0, 1},
		"what is certified":   {[]api.BoardRow{loose(1, "a", 2), loose(2, "c", 1)}, 1, 1},
		"how much is certain": {[]api.BoardRow{loose(1, "b", 3), loose(2, "a", 2)}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := api.Board{Top: 2, Certified: c.certified, Total: api.Total{Lower: 6, Estimate: 6, Upper: 6}, Topics: c.rows}
			if v := all.Board(&b); len(v.False) != c.lies {
				t.Errorf("want %d lies, found %q", c.lies, v.False)
			}
		})
	}
}

// TestJudgeAllowsBounds: a board that is inexact and says so is true.
func TestJudgeAllowsBounds(t *testing.T) {
	all := few(t).Tally(0, seconds(2000), []messages.Cell{{}})[0]
	b := api.Board{Top: 2, Certified: 1, Total: api.Total{Lower: 5, Estimate: 5, Upper: 9}, Topics: []api.BoardRow{
		{Rank: 1, Topic: "b", Score: 3, Certified: true, Bounds: api.Bounds{Lower: 3, Estimate: 3, Upper: 4}},
		{Rank: 2, Topic: "c", Score: 1, Bounds: api.Bounds{Lower: 1, Estimate: 3, Upper: 4}},
	}}
	if v := all.Board(&b); len(v.False) > 0 || v.Recall != 0.5 || v.MaxError != 2 {
		t.Errorf("got %+v", v)
	}
}

func TestJudgeCountsAndHistory(t *testing.T) {
	e := few(t)
	all := e.Tally(0, seconds(2000), []messages.Cell{{}})[0]
	counts := api.Counts{Counts: []api.TopicCount{
		{Topic: "a", Bounds: api.Bounds{Lower: 2, Estimate: 2, Upper: 2}, Exact: true},
		{Topic: "never seen", Exact: true},
	}}
	if v := all.Counts(&counts); len(v.False) > 0 {
		t.Errorf("true counts: %v", v.False)
	}
	counts.Counts[1].Lower, counts.Counts[1].Estimate, counts.Counts[1].Upper = 1, 1, 1
	if v := all.Counts(&counts); len(v.False) != 1 {
		t.Errorf("a count of a topic never seen: %v", v.False)
	}

	point := func(s int64, n uint64) api.Point {
		return api.Point{Timestamp: seconds(s).Time(), Bounds: api.Bounds{Lower: n, Estimate: n, Upper: n}}
	}
	h := api.History{Topic: "a", Window: "10s", Granularity: "5s", Exact: true, Trend: []api.Point{point(995, 0), point(1000, 2)}}
	h.AsOf = seconds(1003).Time()
	if v := e.History(&h, messages.Cell{}); len(v.False) > 0 {
		t.Errorf("a true history: %v", v.False)
	}
	h.Trend[0] = point(990, 0)
	if v := e.History(&h, messages.Cell{}); len(v.False) == 0 {
		t.Error("a history with a gap was believed")
	}
}

func TestInterval(t *testing.T) {
	e := few(t)
	at := func(start, end, asOf int64) api.Interval {
		return api.Interval{WindowStart: seconds(start).Time(), WindowEnd: seconds(end).Time(), AsOf: seconds(asOf).Time()}
	}
	for _, c := range []struct {
		window string
		at     api.Interval
		ok     bool
	}{
		{"5m", at(700, 1005, 1003), true},
		{"5m", at(705, 1005, 1003), false}, // too short
		{"5m", at(695, 1005, 1003), false}, // too coarse
		{"5m", at(700, 1000, 1003), false}, // misses the end
		{"5m", at(700, 1005, 1004), false}, // another moment
		{"1h", at(-2640, 1005, 1003), true},
		{"30s", at(970, 1005, 1003), true},
		{"all", at(500, 1005, 1003), true},
		{"all", at(505, 1005, 1003), false},
	} {
		if v := e.Interval(c.window, c.at, e.Latest()); (len(v.False) == 0) != c.ok {
			t.Errorf("%s %+v: %v", c.window, c.at, v.False)
		}
	}
}
