package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// retryAfter is what a client is told to wait where the error does not say.
const retryAfter = time.Second

// refusal is an error that already knows its answer: the request is at fault,
// or cannot be served as it is.
type refusal struct {
	status int
	title  string
	detail string
	extra  map[string]any
}

func (e *refusal) Error() string { return e.title + ": " + e.detail }

// badParameter refuses a parameter: which, the value given, what is allowed.
func badParameter(name, value, allowed string) error {
	return &refusal{
		status: http.StatusBadRequest,
		title:  "Bad parameter",
		detail: fmt.Sprintf("%s=%s: want %s.", name, quote(value), allowed),
		extra:  map[string]any{"parameter": name, "value": clip(value), "allowed": allowed},
	}
}

// badRequest refuses a request for another reason.
func badRequest(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, title: "Bad request", detail: fmt.Sprintf(format, args...)}
}

// fail answers with the problem that err means. It is the one place where an
// error becomes a status; what it does not know is logged and answered 500.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err, s.cfg.QueryTimeout)
	if p.status == http.StatusInternalServerError {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	swallow(w, r)
	problem(w, r, p.status, p.title, p.detail, p.extra)
}

// problemOf maps an error to its answer. timeout is how long the engine had.
func problemOf(err error, timeout time.Duration) *refusal {
	var (
		known   *refusal
		refused *messages.RefusedError
		notKept *messages.NotKeptError
		failed  *messages.PartitionError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		return later(http.StatusTooManyRequests, "Too many requests", sentence(refused.Reason)+" Nothing of this request is counted; send it again later.", refused.RetryAfter)
	case errors.As(err, &notKept):
		return &refusal{
			status: http.StatusBadRequest,
			title:  "Granularity not kept",
			detail: sentence(notKept.Error()),
			extra:  map[string]any{"parameter": "granularity", "finest": messages.FormatLength(notKept.Finest)},
		}
	case errors.Is(err, messages.ErrPosition):
		return &refusal{status: http.StatusBadRequest, title: "Bad position", detail: sentence(err.Error()) + " Give the position of an ingest answer of this node, unchanged."}
	case errors.Is(err, messages.ErrNotReady):
		return later(http.StatusServiceUnavailable, "Not ready", sentence(err.Error())+" Wait until GET /readyz answers 200.", retryAfter)
	case errors.Is(err, messages.ErrStopped):
		return later(http.StatusServiceUnavailable, "Log stopped", sentence(err.Error())+" What was not acknowledged may be sent again, with the same ids; GET /api/v1/health says more.", 10*time.Second)
	case errors.Is(err, messages.ErrTooLarge):
		return &refusal{
			status: http.StatusRequestEntityTooLarge,
			title:  "Event too large",
			detail: "An event of the request is larger than the log's topic takes (its setting max.message.bytes). Other events of the request may be counted. Send smaller events, or have the setting raised; those that have an event_id, or the whole request with its Idempotency-Key, can be sent again.",
			extra:  map[string]any{"limit": "max.message.bytes"},
		}
	case errors.As(err, &failed):
		return partitionFailed(failed)
	case errors.Is(err, messages.ErrPartition):
		return later(http.StatusServiceUnavailable, "Partition failed", sentence(err.Error())+" Its node must be restarted; GET /api/v1/status names the partition.", 10*time.Second)
	case errors.Is(err, messages.ErrBehind):
		return later(http.StatusServiceUnavailable, "Not counted yet", sentence(err.Error())+" Ask again.", retryAfter)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, messages.ErrBusy):
		return later(http.StatusServiceUnavailable, "Timed out", fmt.Sprintf("The engine did not answer within %v. Ask again; if this lasts, the node is overloaded.", timeout), retryAfter)
	case errors.Is(err, context.Canceled):
		return later(http.StatusServiceUnavailable, "Cancelled", "The request was cut off, by the client or because the node is shutting down. Send it again, with the same ids.", retryAfter)
	}
	return &refusal{
		status: http.StatusInternalServerError,
		title:  "Internal error",
		detail: "The node failed on this request; its log says why. If it repeats, please report it.",
	}
}

// partitionFailed is the answer to what needs a partition that has failed.
func partitionFailed(f *messages.PartitionError) *refusal {
	code, title := "partition_failed", "Partition failed"
	advice := " Its node must be restarted; GET /api/v1/status says more."
	if errors.Is(f, messages.ErrLost) {
		code, title = "partition_lost", "Partition lost"
		advice = " What needs this partition cannot be answered, and a restart alone does not help: it needs a snapshot that the log goes on from, or everything is to be counted anew. What does not need it is answered."
	}
	p := later(http.StatusServiceUnavailable, title, sentence(f.Error())+advice, 10*time.Second)
	p.extra["code"], p.extra["partition"], p.extra["cause"] = code, f.Partition, f.Cause.Error()
	return p
}

// retryKey carries Retry-After through a refusal's extra members; problem
// takes it out again.
const retryKey = "retry_after_sec"

func later(status int, title, detail string, after time.Duration) *refusal {
	if after <= 0 {
		after = retryAfter
	}
	return &refusal{status: status, title: title, detail: detail, extra: map[string]any{retryKey: int(math.Ceil(after.Seconds()))}}
}

// problem answers with an RFC 9457 problem; detail says what to do. The member
// retry_after_sec of extra, if there, also becomes the Retry-After header.
func problem(w http.ResponseWriter, r *http.Request, status int, title, detail string, extra map[string]any) {
	body := make(map[string]any, len(extra)+4)
	for k, v := range extra {
		body[k] = v
	}
	if after, ok := extra[retryKey].(int); ok {
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	body["type"], body["title"], body["status"], body["detail"] = "about:blank", title, status, detail
	b, err := json.Marshal(body)
	if err != nil { // a member that JSON cannot hold: a broken invariant, answered without it
		slog.Error("encode problem", "path", r.URL.Path, "error", err)
		b, _ = json.Marshal(api.Problem{Type: "about:blank", Title: title, Status: status, Detail: detail})
	}
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Type", api.ProblemType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone; there is nobody else to tell
}

// sentence makes an error text read as one.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	return s + "."
}

// maxEcho bounds how much of a client's value an error repeats.
const maxEcho = 100

// quote shows a client's value safely.
func quote(s string) string { return strconv.Quote(clip(s)) }

func clip(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	return strings.ToValidUTF8(s[:maxEcho], "") + "…"
}
