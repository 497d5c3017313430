package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

func TestEveryErrorHasItsStatusAndSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err        error
		status     int
		retryAfter string
		detail     string
	}{
		{&messages.RefusedError{Reason: "the log is 2 s behind", RetryAfter: 1500 * time.Millisecond}, 429, "2", "The log is 2 s behind. Nothing of this request is counted"},
		{fmt.Errorf("append: %w", &messages.RefusedError{Reason: "full"}), 429, "1", "Full."},
		{fmt.Errorf("%w: 3 of 7 entries", messages.ErrNotReady), 503, "1", "replaying its log: 3 of 7 entries. Wait until GET /readyz"},
		{fmt.Errorf("append: %w", messages.ErrStopped), 503, "10", "may be sent again"},
		{fmt.Errorf("append: %w: 70000 bytes", messages.ErrTooLarge), 413, "", "max.message.bytes). Other events of the request may be counted"},
		{fmt.Errorf("%w: 5", messages.ErrPartition), 503, "10", "GET /api/v1/status"},
		{fmt.Errorf("%w: %w", messages.ErrBehind, context.DeadlineExceeded), 503, "1", "not counted yet"},
		{fmt.Errorf("ask: %w", context.DeadlineExceeded), 503, "1", "did not answer within 5s"},
		{context.Canceled, 503, "1", "cut off"},
		{fmt.Errorf("%w: malformed token", messages.ErrPosition), 400, "", "malformed token. Give the position of an ingest answer"},
		{&messages.NotKeptError{Finest: 20 * messages.Minute}, 400, "", "the finest granularity kept is 20m"},
		{errors.New("secret path /data/x"), 500, "", "its log says why"},
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.err = c.err })
		w := s.get(t, "/api/v1/topics/x/history?window=24h&granularity=1m")
		p := problemAs(t, w, c.status)
		if !strings.Contains(p["detail"].(string), c.detail) {
			t.Errorf("%v: detail %q, want in it %q", c.err, p["detail"], c.detail)
		}
		if got := w.Header().Get("Retry-After"); got != c.retryAfter {
			t.Errorf("%v: Retry-After %q, want %q", c.err, got, c.retryAfter)
		}
		if w.Header().Get("ETag") != "" {
			t.Errorf("%v: a problem has an ETag", c.err)
		}
		logged := strings.Count(s.logged.String(), "\n")
		if want := map[bool]int{true: 1}[c.status == 500]; logged != want {
			t.Errorf("%v: logged %d lines, want %d: %s", c.err, logged, want, s.logged)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("an internal error was shown to the client: %s", w.Body)
		}
	}
}

func TestSlowEngineIsGivenUp(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.QueryTimeout = 20 * time.Millisecond })
	s.engine.block = make(chan struct{})
	p := problemAs(t, s.get(t, "/api/v1/trending"), http.StatusServiceUnavailable)
	if !strings.Contains(p["detail"].(string), "within 20ms") {
		t.Errorf("detail %q", p["detail"])
	}
}

func TestLongValuesAreNotRepeatedInFull(t *testing.T) {
	s := newTestServer(t)
	w := s.get(t, "/api/v1/trending?window="+strings.Repeat("é", 10_000))
	if problemAs(t, w, 400); w.Body.Len() > 1000 {
		t.Errorf("a problem of %d bytes", w.Body.Len())
	}
}
