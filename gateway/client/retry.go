package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// Retry is how often and how patiently Ingest tries again. The zero value is
// never.
//
// A refusal for lack of room (429) counted nothing and is tried again for any
// request. After a broken connection or a 502, 503 or 504 nobody knows whether
// the events are in the log; only a request with an Idempotency-Key, which
// makes a repeat harmless, is tried again.
type Retry struct {
	Attempts int           // tries beside the first
	Base     time.Duration // longest wait before the first retry; it doubles with each. 0: 100 ms
	Max      time.Duration // longest wait of all, also if the node asks for more. 0: 10 s
}

// again tells whether to try again after err.
func (r Retry) again(ctx context.Context, err error, keyed bool) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	var said *Error
	if !errors.As(err, &said) {
		return keyed // the connection broke, or what came back was no answer
	}
	switch said.Status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return keyed
	}
	return false
}

// wait is how long to wait before retry n (from 0): a random part of a bound
// that doubles, so that many clients do not come back together, and not less
// than the node asked for.
func (r Retry) wait(n int, err error, random func(int64) int64) time.Duration {
	base, longest := r.Base, r.Max
	if base <= 0 {
		base = 100 * time.Millisecond
	}
	if longest <= 0 {
		longest = 10 * time.Second
	}
	bound := longest
	if n < 30 {
		bound = min(base<<n, longest)
	}
	wait := time.Duration(random(int64(bound) + 1))
	var said *Error
	if errors.As(err, &said) && said.RetryAfter > 0 {
		wait = min(said.RetryAfter+wait, max(longest, wait))
	}
	return wait
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retrying calls once, and again as the policy says. The error is the last
// one.
func (r Retry) retrying(ctx context.Context, keyed bool, once func() error) error {
	err := once()
	for n := 0; n < r.Attempts && r.again(ctx, err, keyed); n++ {
		if pause(ctx, r.wait(n, err, rand.Int64N)) != nil {
			return err
		}
		err = once()
	}
	return err
}
