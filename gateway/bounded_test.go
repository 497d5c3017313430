package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestBoundedEndsAtTheFirstOfItsEnds: whoever waits is woken by each of them,
// and by the one that came before they began to wait.
func TestBoundedEndsAtTheFirstOfItsEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(request, cutOff context.CancelFunc)
		want error
		took time.Duration
	}{
		{"client", func(request, _ context.CancelFunc) { request() }, context.Canceled, 0},
		{"drain", func(_, cutOff context.CancelFunc) { cutOff() }, context.Canceled, 0},
		{"deadline", func(_, _ context.CancelFunc) {}, context.DeadlineExceeded, time.Second},
	} {
		for _, before := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				request, cancelRequest := context.WithCancel(t.Context())
				cutOff, cancelCutOff := context.WithCancel(t.Context())
				defer cancelRequest()
				defer cancelCutOff()
				b := &bounded{Context: request, cutOff: cutOff, deadline: start.Add(time.Second)}
				defer b.end()
				if b.Err() != nil {
					t.Fatalf("%s: ended at once: %v", c.name, b.Err())
				}
				if at, ok := b.Deadline(); !ok || !at.Equal(start.Add(time.Second)) {
					t.Errorf("%s: deadline %v, %t", c.name, at, ok)
				}
				if before {
					c.end(cancelRequest, cancelCutOff)
					<-b.Done()
				} else {
					done := b.Done()
					c.end(cancelRequest, cancelCutOff)
					<-done
				}
				if !errors.Is(b.Err(), c.want) || time.Since(start) != c.took {
					t.Errorf("%s, ended before the wait %t: %v after %v, want %v after %v", c.name, before, b.Err(), time.Since(start), c.want, c.took)
				}
			})
		}
	}
}

// TestBoundedTellsItsEndWithoutAWait: Err needs nobody to have waited.
func TestBoundedTellsItsEndWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cutOff, cancel := context.WithCancel(t.Context())
		b := &bounded{Context: t.Context(), cutOff: cutOff}
		cancel()
		if !errors.Is(b.Err(), context.Canceled) {
			t.Errorf("after the cut: %v", b.Err())
		}
		b = &bounded{Context: t.Context(), deadline: time.Now().Add(time.Second)}
		time.Sleep(time.Second)
		if !errors.Is(b.Err(), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", b.Err())
		}
	})
}
