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

// try makes an idempotent request of about size bytes until it succeeds, its
// error is one that will not pass, or attempts are used up.
func (b *bucket) try(ctx context.Context, size int64, request func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := b.once(ctx, size, request)
		if err == nil || !passes(ctx, err) {
			return translate(err)
		}
		if attempt == b.attempts {
			return fmt.Errorf("%d attempts: %w", attempt, err)
		}
		if stopped := pause(ctx, b.wait(attempt)); stopped != nil {
			return fmt.Errorf("%w after %d attempts: %w", stopped, attempt, err)
		}
	}
}

// once makes one attempt within its time.
func (b *bucket) once(ctx context.Context, size int64, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout+time.Duration(size>>20)*time.Second)
	defer cancel()
	return request(ctx)
}

// wait is the pause after an attempt, numbered from 1.
func (b *bucket) wait(attempt int) time.Duration {
	d := min(b.backoff<<min(attempt-1, 16), maxBackoff)
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
	switch s := status(err); {
	case errors.Is(err, errNoETag):
		return false
	case s == 0, errors.As(err, &broken):
		return errors.As(err, &unsent) || errors.As(err, &broken) || errors.Is(err, context.DeadlineExceeded)
	case s < 300: // an answer that cannot be understood
		return true
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooManyRequests, s >= 500:
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
