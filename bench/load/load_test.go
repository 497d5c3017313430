package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLateRequestsCountFromWhenTheyWereDue: a worker that is held up for half
// a second makes the next ones late, and that shows.
func TestLateRequestsCountFromWhenTheyWereDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		l := &loop{workers: 1, rate: 10, span: time.Second, work: func(ctx context.Context, _ int, due time.Time) error {
			if first {
				first = false
				until(ctx, due.Add(500*time.Millisecond))
			}
			return nil
		}}
		r, err := l.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.done != 10 {
			t.Errorf("%d of 10 requests were sent", r.done)
		}
		// 500, 400, 300, 200, 100 ms and five times nothing.
		for _, c := range []struct {
			percentile float64
			want       int64
		}{{100, 500}, {90, 400}, {70, 200}, {50, 0}} {
			if got := r.latency.ValueAtPercentile(c.percentile) / 1000; got != c.want {
				t.Errorf("p%v is %d ms, want %d", c.percentile, got, c.want)
			}
		}
	})
}

func TestWarmUpIsNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := &loop{workers: 2, warmup: 3 * time.Second, span: 10 * time.Second, work: func(ctx context.Context, w int, due time.Time) error {
			wait := 10 * time.Millisecond
			if due.Sub(start) < 3*time.Second {
				wait = time.Second
			}
			until(ctx, due.Add(wait))
			return nil
		}}
		r, err := l.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.done != 2000 || r.perSecond() != 200 || r.latency.Max()/1000 != 10 {
			t.Errorf("%d done, %v/s, at most %d µs", r.done, r.perSecond(), r.latency.Max())
		}
	})
}

func TestAnErrorEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		l := &loop{workers: 4, rate: 100, span: time.Hour, work: func(_ context.Context, _ int, due time.Time) error { return broken }}
		if _, err := l.run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBodies(t *testing.T) {
	c, _, err := parse([]string{"-topics", "50"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range []bool{false, true} {
		c.ids = ids
		src, err := c.source()
		if err != nil {
			t.Fatal(err)
		}
		a, b := newBodies(src, 3, ids), newBodies(src, 3, ids)
		seen := map[string]bool{}
		for range 100 {
			for _, body := range []string{string(a.next()), string(b.next())} {
				if strings.Count(body, "\n") != 3 || strings.Contains(body, "timestamp") {
					t.Fatalf("a body of 3 events without times: %q", body)
				}
				for line := range strings.Lines(body) {
					if ids && seen[line] {
						t.Fatalf("%q was sent twice", line)
					}
					seen[line] = true
				}
			}
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"-for 1ms", "-format xml", "-repeat 0", "-mix loud", "-batch 0", "-topics 0", "-reads 0", "-top 1001", "-boards -1", "-clients 0", "walk", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
