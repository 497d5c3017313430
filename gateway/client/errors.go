package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// Error is an answer that says no. Detail says what to do about it.
type Error struct {
	Status     int
	Title      string
	Detail     string
	RetryAfter time.Duration   // 0: the node did not say
	Errors     []api.Rejection // of an ingest request whose events were all rejected
}

func (e *Error) Error() string {
	text := e.Title
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text + " (HTTP " + strconv.Itoa(e.Status) + ")"
}

// newError reads a problem. What is none (from a proxy in between) is shown by
// its first line.
func newError(resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	// A batch of which all is rejected is answered in its own shape: without a
	// title, with detail and errors.
	var p struct {
		Title  string          `json:"title"`
		Detail string          `json:"detail"`
		Errors []api.Rejection `json:"errors"`
	}
	if err := json.Unmarshal(body, &p); err == nil {
		e.Title, e.Detail, e.Errors = p.Title, p.Detail, p.Errors
		return e
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), 200)])), "\n")
	e.Detail = strings.ToValidUTF8(line, "")
	return e
}
