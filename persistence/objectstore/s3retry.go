package objectstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const maxBackoff = 5 * time.Second

// errNoETag is a server without versions.
var errNoETag = errors.New("the server's answer has no ETag: it cannot change objects conditionally")

// brokenAnswerError is an answer that broke off.
type brokenAnswerError struct{ err error }

func (e *brokenAnswerError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *brokenAnswerError) Unwrap() error { return e.err }

// attempt is the time that one attempt has: some until it is answered, and more
// for what has to be carried.
type attempt struct {
	b     *bucket
	timer *time.Timer
}

// carry gives it the time for so many bytes from now on.
func (a *attempt) carry(size int64) { a.timer.Reset(a.b.time(size)) }

func (b *bucket) time(size int64) time.Duration {
	return b.timeout + time.Duration(max(size, 0)>>20)*time.Second
}

// once makes one attempt within its time, with a body of so many bytes.
func (b *bucket) once(ctx context.Context, size int64, request func(context.Context, *attempt) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &attempt{b, time.AfterFunc(b.time(size), func() { cancel(&slowAnswerError{b.timeout}) })}
	defer a.timer.Stop()
	err := request(ctx, a)
	var slow *slowAnswerError
	if err != nil && errors.As(context.Cause(ctx), &slow) {
		return slow
	}
	return err
}

// slowAnswerError is an attempt whose time was over.
type slowAnswerError struct{ timeout time.Duration }

func (e *slowAnswerError) Error() string { return fmt.Sprintf("no answer within %v", e.timeout) }

// try makes an idempotent request until it succeeds, its error is one that will
// not pass, or attempts are used up.
func (b *bucket) try(ctx context.Context, request func(context.Context, *attempt) error) error {
	for n := 1; ; n++ {
		err := b.once(ctx, 0, request)
		if err == nil || !passes(ctx, err) {
			return translate(err)
		}
		if n == b.attempts {
			return fmt.Errorf("%d attempts: %w", n, err)
		}
		if stopped := pause(ctx, b.wait(n)); stopped != nil {
			return fmt.Errorf("%w after %d attempts: %w", stopped, n, err)
		}
	}
}

// wait is the pause after attempt n, counted from 1.
func (b *bucket) wait(n int) time.Duration {
	d := min(b.backoff<<min(n-1, 16), maxBackoff)
	return d/2 + rand.N(d/2+1)
}

// status is the HTTP status of an error, 0 if there was no answer.
func status(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		return answer.Response.StatusCode
	}
	return 0
}

// code is S3's name of an error, "" if there is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// passing are errors of statuses below 500 that are worth another attempt.
// After RequestTimeTooSkewed the client signs by the server's clock.
var passing = []string{
	"BadDigest", "ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed", "RequestTimeout",
	"SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "XAmzContentSHA256Mismatch",
}

// passes tells whether another attempt may succeed where one failed, unless the
// caller does not want to wait any more.
func passes(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	var unsent *smithyhttp.RequestSendError
	var broken *brokenAnswerError
	var slow *slowAnswerError
	switch s := status(err); {
	case errors.Is(err, errNoETag):
		return false
	case errors.As(err, &broken), errors.As(err, &slow), errors.As(err, &unsent):
		return true
	case s == 0: // it was never sent: no credentials
		return false
	case s < 300: // an answer that cannot be understood
		return true
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		return s != http.StatusNotImplemented
	}
	return slices.Contains(passing, code(err))
}

// translate puts errors into this package's words.
func translate(err error) error {
	switch {
	case status(err) == http.StatusNotFound && code(err) == "NoSuchBucket":
		return fmt.Errorf("the bucket is not there: make it first (%w)", err)
	case status(err) == http.StatusNotFound:
		return ErrNotFound
	case status(err) == http.StatusForbidden || status(err) == http.StatusUnauthorized:
		return fmt.Errorf("the server refuses these credentials: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE and the bucket's policy (%w)", err)
	}
	return err
}
