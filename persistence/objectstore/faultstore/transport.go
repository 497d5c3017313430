package faultstore

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// Answer is what a Transport makes of one request.
type Answer int

const (
	Pass      Answer = iota // the server's own
	Internal                // 500, not done
	Slowdown                // 503, not done
	Late                    // 503, but done
	Conflict                // 409 ConditionalRequestConflict, not done
	Refused                 // 412 PreconditionFailed, for no reason, not done
	Reset                   // the connection breaks before the request is done
	Lost                    // the connection breaks after it is done
	Hang                    // nothing until the client gives up, not done
	HangAfter               // done, and nothing until the client gives up
	Cut                     // half of the answer's body
)

// Transport is an http.RoundTripper that answers in the server's place now and
// then.
type Transport struct {
	Inner http.RoundTripper // nil: http.DefaultTransport
	// Decide says what happens to request n, counted from 1. It is called by one
	// goroutine at a time.
	Decide func(n int, r *http.Request) Answer

	mu sync.Mutex
	n  int
}

// Requests is the number of requests so far.
func (t *Transport) Requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// Random is a Decide that hits a share of the requests with one of the answers.
func Random(seed uint64, share float64, answers ...Answer) func(int, *http.Request) Answer {
	rng := rand.New(rand.NewPCG(seed, 0x68747470))
	return func(int, *http.Request) Answer {
		if hit, which := rng.Float64(), rng.IntN(len(answers)); hit < share {
			return answers[which]
		}
		return Pass
	}
}

// Script is a Decide that gives the answers in turn, then passes.
func Script(answers ...Answer) func(int, *http.Request) Answer {
	return func(n int, _ *http.Request) Answer {
		if n <= len(answers) {
			return answers[n-1]
		}
		return Pass
	}
}

var errReset = errors.New("connection reset by peer (injected)")

// RoundTrip makes a request, or what was decided of it.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.n++
	answer := t.Decide(t.n, r)
	t.mu.Unlock()
	switch answer {
	case Lost, HangAfter, Late:
		if resp, err := t.inner().RoundTrip(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	case Pass, Cut:
		resp, err := t.inner().RoundTrip(r)
		if err == nil && answer == Cut {
			resp.Body = &cutBody{resp.Body, resp.ContentLength / 2}
		}
		return resp, err
	default:
		if r.Body != nil {
			_ = r.Body.Close()
		}
	}
	switch answer {
	case Internal:
		return problem(r, http.StatusInternalServerError, "InternalError"), nil
	case Slowdown, Late:
		return problem(r, http.StatusServiceUnavailable, "SlowDown"), nil
	case Conflict:
		return problem(r, http.StatusConflict, "ConditionalRequestConflict"), nil
	case Refused:
		return problem(r, http.StatusPreconditionFailed, "PreconditionFailed"), nil
	case Hang, HangAfter:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return nil, errReset
}

func (t *Transport) inner() http.RoundTripper {
	if t.Inner == nil {
		return http.DefaultTransport
	}
	return t.Inner
}

// problem is an error as S3 words it.
func problem(r *http.Request, status int, code string) *http.Response {
	body := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>injected</Message></Error>"
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/xml"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}

// cutBody ends too early.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
