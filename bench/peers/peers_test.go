package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

func newTrial(t *testing.T, args ...string) *trial {
	t.Helper()
	c, _, err := parse(append([]string{"-events", "30000", "-topics", "2000", "-for", "200ms", "-live", "0s"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	events, err := tape.Record(tape.Hour(c.seed, c.events, c.topics), c.events)
	if err != nil {
		t.Fatal(err)
	}
	return &trial{config: c, tape: events, judge: newJudge(events)}
}

// TestSubjectsInThisProcess: those that keep everything are right about
// everything, and every column has a number.
func TestSubjectsInThisProcess(t *testing.T) {
	trial := newTrial(t)
	for _, s := range subjects {
		if strings.HasPrefix(s.name, "crest/http") || strings.HasPrefix(s.name, "redis") || strings.HasSuffix(s.name, "tenth") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r, err := s.measure(t.Context(), trial)
			if err != nil {
				t.Fatal(err)
			}
			if r.perSecond <= 0 || r.server <= 0 || r.held <= 0 || len(r.reads) == 0 {
				t.Errorf("a number is missing: %+v", r)
			}
			if s.name != "count-min/1-key" && (r.found.recalled() != 1 || r.found.off() != 0) {
				t.Errorf("recall %v, error %v", r.found.recalled(), r.found.off())
			}
		})
	}
}

func TestSubjectsAreChosenByName(t *testing.T) {
	for _, c := range []struct {
		asked, want []string
	}{
		{[]string{"redis/20-keys"}, []string{"redis/20-keys"}},
		{[]string{"redis/20"}, []string{"redis/20-keys", "redis/20-keys/combined"}},
		{[]string{"map/1-key", "redis/20-keys/combined"}, []string{"redis/20-keys/combined", "map/1-key"}},
		{nil, names(subjects)},
	} {
		if got, err := choose(c.asked); err != nil || !slices.Equal(names(got), c.want) {
			t.Errorf("%q: %q, %v, want %q", c.asked, names(got), err, c.want)
		}
	}
	if _, err := choose([]string{"map", "nobody"}); err == nil {
		t.Error("an unknown name is accepted")
	}
}

// TestTheJudgeSeesWhatIsWrong: topics that do not belong, and counts that are
// off.
func TestTheJudgeSeesWhatIsWrong(t *testing.T) {
	trial := newTrial(t)
	var right []row
	for _, r := range trial.judge.tallies[messages.Cell{}].Ranked()[:boardRows] {
		right = append(right, row{r.Topic, float64(r.Count)})
	}
	wrong := append([]row{{"nobody", 1}}, right[1:]...)
	wrong[1].count *= 1.5
	var f findings
	trial.judge.board(&f, messages.Cell{}, right)
	if f.recalled() != 1 || f.off() != 0 {
		t.Errorf("a right board has recall %v, error %v", f.recalled(), f.off())
	}
	f = findings{}
	trial.judge.board(&f, messages.Cell{}, wrong)
	if f.recalled() != 0.99 || f.off() != (1+0.5)/boardRows {
		t.Errorf("a wrong board has recall %v, error %v", f.recalled(), f.off())
	}
}

// TestIncrements are what Redis would count: the same as a map does, however
// they are sent.
func TestIncrements(t *testing.T) {
	trial := newTrial(t, "-pipeline", "7")
	events := trial.tape.Events[:500]
	for _, s := range []redisSubject{{windows: 5}, {windows: 5, combined: true}, {}} {
		want := map[string]int{}
		for i := range events {
			_ = s.each(&events[i], func(k target) error {
				cell := messages.Cell{Category: tape.CategoryName(k.category), Region: tape.RegionName(k.region)}
				want[keyOf(readWindows[k.window], cell)+" "+trial.tape.Topics[events[i].Topic]]++
				return nil
			})
		}
		got := map[string]int{}
		addr := fakeRedis(t, func(words []string) string {
			n := 0
			for _, digit := range words[2] {
				n = 10*n + int(digit-'0')
			}
			got[words[1]+" "+words[3]] += n
			return "$1\r\n1\r\n"
		})
		c, err := dialRedis(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := s.pipeline(t.Context(), trial, c, pace{}, events); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%+v: %d members, want %d", s, len(got), len(want))
		}
		for key, n := range want {
			if got[key] != n {
				t.Errorf("%+v: %s has %d, want %d", s, key, got[key], n)
			}
		}
	}
}

// TestRedisErrorsEndThePipeline instead of being counted as replies.
func TestRedisErrorsEndThePipeline(t *testing.T) {
	trial := newTrial(t, "-pipeline", "7")
	addr := fakeRedis(t, func([]string) string { return "-OOM command not allowed\r\n" })
	c, err := dialRedis(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = redisSubject{windows: 5}.pipeline(t.Context(), trial, c, pace{}, trial.tape.Events)
	if err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("got %v", err)
	}
}

// fakeRedis answers the commands of one connection until the test ends.
func fakeRedis(t *testing.T, answer func(words []string) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := &redisConn{c, bufio.NewReader(c)}
		out := bufio.NewWriter(c)
		for {
			head, err := in.line()
			if err != nil || string(head) != "*4" {
				return
			}
			words := make([]string, 4)
			for i := range words {
				if words[i], err = in.bulk(); err != nil {
					return
				}
			}
			if _, err := out.WriteString(answer(words)); err != nil {
				return
			}
			if in.in.Buffered() == 0 && out.Flush() != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// TestReadsCountFromWhenTheyWereDue: a store that answers nothing for 100 ms is
// late for all that would have asked meanwhile.
func TestReadsCountFromWhenTheyWereDue(t *testing.T) {
	trial := newTrial(t, "-reads", "1000")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		reads, err := trial.reading(t.Context(), func(ctx context.Context, _ int, _ question) error {
			until(ctx, start.Add(100*time.Millisecond))
			return nil
		}, func() error {
			until(t.Context(), start.Add(time.Second))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		late := 0
		for _, d := range reads {
			if d > 0 {
				late++
			}
		}
		if late != 100 || reads.at(1) != 100*time.Millisecond || reads.at(0) != 0 {
			t.Errorf("%d of %d reads were late, at most by %v: want 100, by 100ms", late, len(reads), reads.at(1))
		}
	})
}

func TestAReaderThatFailsIsHeardOf(t *testing.T) {
	broken := errors.New("broken")
	asked := make(chan struct{}, readers)
	_, err := newTrial(t).reading(t.Context(), func(context.Context, int, question) error {
		asked <- struct{}{}
		return broken
	}, func() error { <-asked; return nil })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"-events 10", "-topics 1", "-runs 0", "-request 0", "-pipeline 0", "-reads 0", "-for 1ms", "-live -1s", "-partitions 0", "mysql", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
	if _, chosen, err := parse([]string{"redis", "map/1"}, io.Discard); err != nil || len(chosen) != 4 {
		t.Errorf("redis and map/1: %v, %v", names(chosen), err)
	}
}

func TestBudgetFor(t *testing.T) {
	for _, engine := range []int64{0, 1 << 20, 100 << 20} {
		if got := budgetFor(engine); got < 32<<20 || got > 32<<20+4*engine {
			t.Errorf("for an engine of %d bytes --memory is %d", engine, got)
		}
	}
}
