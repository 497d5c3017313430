package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

func TestBudgetRefusesAfterItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100, time.Second)
		if err := b.take(t.Context(), 60); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var refused *messages.RefusedError
		if err := b.take(t.Context(), 41); !errors.As(err, &refused) || refused.RetryAfter != time.Second {
			t.Fatalf("got %v", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Fatalf("waited %v", waited)
		}
		if err := b.take(t.Context(), 40); err != nil {
			t.Fatalf("a request that fits: %v", err)
		}
	})
}

func TestBudgetServesFirstComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100, time.Minute)
		if err := b.take(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int64
		ask := func(n int64) {
			go func() {
				if err := b.take(t.Context(), n); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, n)
				mu.Unlock()
			}()
			synctest.Wait() // it has its place in the queue
		}
		ask(90)
		b.give(40)
		ask(10)
		ask(50)
		if len(order) != 0 {
			t.Fatalf("%v went before the first, who waits for 90", order)
		}
		b.give(60)
		synctest.Wait()
		if len(order) != 2 {
			t.Fatalf("%v got theirs, want the first two", order)
		}
		b.give(100)
		synctest.Wait()
		if len(order) != 3 || b.inFlight() != 50 {
			t.Fatalf("%v got theirs, %d in flight", order, b.inFlight())
		}
	})
}

func TestBudgetGoesOnWhenTheFirstInTheQueueGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100, time.Minute)
		if err := b.take(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { gaveUp <- b.take(ctx, 100) }()
		synctest.Wait()
		got := make(chan error)
		go func() { got <- b.take(t.Context(), 50) }()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	})
}

func TestBudgetForcedBeyondItsLimitKeepsOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100, time.Second)
		b.force(150)
		if err := b.take(t.Context(), 1); err == nil {
			t.Fatal("got a byte that is not there")
		}
		b.give(150)
		if err := b.take(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	})
}
