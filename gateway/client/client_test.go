package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/gateway/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient lets what ends behind the last test end.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(time.Minute); goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return code
}

// node answers every request by a handler and remembers the last one. An answer
// orders what it remembered before what its client does; a connection that breaks
// does not, so that the next request may meet this one.
type node struct {
	*Client
	mu      sync.Mutex // between handlers
	request *http.Request
	body    string
}

func newNode(t *testing.T, answer http.HandlerFunc, opts ...Option) *node {
	t.Helper()
	n := &node{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		n.mu.Lock()
		n.request, n.body = r, string(b)
		n.mu.Unlock()
		answer(w, r)
	}))
	c, err := New(srv.URL, opts...)
	if err != nil {
		t.Fatal(err)
	}
	n.Client = c
	t.Cleanup(func() { c.Close(); srv.Close() })
	return n
}

func answerWith(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }
}

func TestQuestionsAreAskedAsMeant(t *testing.T) {
	ctx := context.Background()
	scope := Scope{Window: "37m", Category: "a&b", Region: "IN", After: "pos"}
	for _, c := range []struct {
		target string
		ask    func(*Client) (any, error)
		answer any
	}{
		{"/api/v1/trending", func(c *Client) (any, error) { return c.Trending(ctx, TrendingQuery{}) }, &api.Board{Version: "v", Topics: []api.BoardRow{{Topic: "x"}}}},
		{"/api/v1/trending?after=pos&category=a%26b&exclude=x&exclude=y&max_per_category=2&region=IN&require=exact&top=5&window=37m",
			func(c *Client) (any, error) {
				return c.Trending(ctx, TrendingQuery{Scope: scope, Top: 5, Exclude: []string{"x", "y"}, MaxPerCategory: 2, Require: "exact"})
			}, &api.Board{Exact: true}},
		{"/api/v1/count?topic=..%2F%F0%9F%94%A5", func(c *Client) (any, error) { return c.Count(ctx, "../🔥", Scope{}) }, &api.Count{WholeCell: api.WholeCell{WindowTotal: 7}}},
		{"/api/v1/history?after=pos&category=a%26b&granularity=1m&region=IN&topic=x&window=37m",
			func(c *Client) (any, error) { return c.History(ctx, "x", "1m", scope) }, &api.History{Granularity: "1m"}},
		{"/api/v1/trending/history?granularity=1m&top=3&window=1h", func(c *Client) (any, error) {
			return c.TrendingHistory(ctx, 3, "1m", Scope{Window: "1h"})
		}, &api.BoardHistory{Top: 3}},
		{"/api/v1/rank?around=2&topic=x", func(c *Client) (any, error) { return c.Rank(ctx, "x", 2, Scope{}) }, &api.Rank{Topic: "x"}},
		{"/api/v1/cells?window=1h", func(c *Client) (any, error) { return c.Cells(ctx, "1h") }, &api.Cells{Window: "1h"}},
		{"/api/v1/topics?limit=3&prefix=wo+r", func(c *Client) (any, error) { return c.Topics(ctx, "wo r", "", 3) }, &api.Topics{Limit: 3}},
		{"/api/v1/health", func(c *Client) (any, error) { return c.Health(ctx) }, &api.Health{Status: "ok"}},
		{"/api/v1/ledger", func(c *Client) (any, error) { return c.Ledger(ctx) }, &api.Ledger{Total: api.PartitionLedger{Logged: 3}}},
		{"/api/v1/status", func(c *Client) (any, error) { return c.Status(ctx) }, &api.Status{Node: "n"}},
		{"/api/v1/metrics", func(c *Client) (any, error) { return c.Metrics(ctx) }, &api.Metrics{Rows: 3}},
		{"/readyz", func(c *Client) (any, error) { return (*struct{})(nil), c.Ready(ctx) }, (*struct{})(nil)},
	} {
		n := newNode(t, answerWith(c.answer))
		got, err := c.ask(n.Client)
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		if target := n.request.URL.RequestURI(); target != c.target || n.request.Method != http.MethodGet {
			t.Errorf("asks %s %s, want GET %s", n.request.Method, target, c.target)
		}
		if !reflect.DeepEqual(got, c.answer) {
			t.Errorf("%s: answer %+v, want %+v", c.target, got, c.answer)
		}
	}

	n := newNode(t, answerWith(&api.Counts{WholeCell: api.WholeCell{WindowTotal: 9}}))
	got, err := n.Counts(ctx, []string{"a", "b"}, Scope{Window: "1h", Region: "IN"})
	if want := `{"topics":["a","b"],"window":"1h","region":"IN"}`; err != nil || got.WindowTotal != 9 || n.body != want || n.request.Method != "POST" {
		t.Errorf("counts: %v, %+v, body %s, want %s", err, got, n.body, want)
	}
}

func TestSnapshotsAreAskedForByPost(t *testing.T) {
	want := &api.SnapshotsTaken{Snapshots: []api.Snapshot{{Partition: 3, Offset: 9, TookMS: 1.5}}}
	n := newNode(t, answerWith(want))
	got, err := n.Snapshot(context.Background())
	if err != nil || !reflect.DeepEqual(got, want) || n.request.Method != http.MethodPost || n.request.URL.RequestURI() != "/api/v1/admin/snapshot" || n.body != "" {
		t.Errorf("%s %s %q: %+v, %v", n.request.Method, n.request.URL, n.body, got, err)
	}
	n = newNode(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"title":"Snapshot failed","detail":"The disk is full."}`)
	})
	var no *Error
	if got, err := n.Snapshot(context.Background()); got != nil || !errors.As(err, &no) || no.Status != 503 || no.Detail != "The disk is full." {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEventsAreSentAsGiven(t *testing.T) {
	n := newNode(t, answerWith(map[string]any{"status": "partial", "accepted": 1, "rejected": 1, "position": "p",
		"errors": []map[string]any{{"index": 1, "reason": "topic: empty"}}}), WithUserAgent("test/1"))
	got, err := n.Ingest(context.Background(), &Events{Body: []byte("xyz"), ContentType: NDJSON, Encoding: "zstd", Key: "k 1"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != "partial" || got.Position != "p" || len(got.Errors) != 1 || got.Errors[0].Reason != "topic: empty" {
		t.Errorf("answer %+v", got)
	}
	h := n.request.Header
	if n.body != "xyz" || n.request.URL.RequestURI() != "/api/v1/events" || h.Get("Content-Type") != NDJSON || h.Get("Content-Encoding") != "zstd" ||
		h.Get("Idempotency-Key") != "k 1" || h.Get("User-Agent") != "test/1" {
		t.Errorf("sent %s %v %q", n.request.URL, h, n.body)
	}
	if _, err = n.Ingest(context.Background(), &Events{Body: []byte("{}"), ContentType: JSON, NoAck: true}); err != nil || n.request.URL.RequestURI() != "/api/v1/events?ack=none" {
		t.Errorf("%v: sent to %s", err, n.request.URL)
	}
	if _, keyed := n.request.Header["Idempotency-Key"]; keyed {
		t.Error("an Idempotency-Key was made up")
	}
}

func TestProblemsComeBackAsErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		header string // Retry-After
		want   Error
		text   string
	}{
		{400, `{"type":"about:blank","title":"Bad parameter","status":400,"detail":"top=\"0\": want 1."}`, "", Error{Status: 400, Title: "Bad parameter", Detail: `top="0": want 1.`},
			`Bad parameter: top="0": want 1. (HTTP 400)`},
		{429, `{"title":"Too many requests","detail":"Full."}`, "3", Error{Status: 429, Title: "Too many requests", Detail: "Full.", RetryAfter: 3 * time.Second}, `Too many requests: Full. (HTTP 429)`},
		{422, `{"status":"partial","accepted":0,"rejected":1,"errors":[{"index":0,"reason":"r"}],"detail":"All events were rejected."}`, "",
			Error{Status: 422, Detail: "All events were rejected.", Errors: []api.Rejection{{Reason: "r"}}}, "Unprocessable Entity: All events were rejected. (HTTP 422)"},
		{502, "<html>\nno", "soon", Error{Status: 502, Detail: "<html>"}, "Bad Gateway: <html> (HTTP 502)"},
		{301, "", "", Error{Status: 301}, "Moved Permanently (HTTP 301)"},
	} {
		n := newNode(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := n.Health(context.Background())
		var got *Error
		if !errors.As(err, &got) || !reflect.DeepEqual(*got, c.want) || err.Error() != c.text {
			t.Errorf("%d: error %#v %q, want %#v %q", c.status, err, err, c.want, c.text)
		}
	}
	n := newNode(t, answerWith("no health"))
	if _, err := n.Health(context.Background()); err == nil || !strings.Contains(err.Error(), "is not crest's") {
		t.Errorf("a foreign answer: %v", err)
	}
}

func TestOnlyWhatIsSafeIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		status int // 0: the connection breaks
		key    string
		tries  int32
	}{
		{429, "", 3}, {429, "k", 3}, {503, "k", 3}, {502, "k", 3}, {0, "k", 3},
		{503, "", 1}, {0, "", 1}, {400, "k", 1}, {409, "k", 1}, {422, "k", 1}, {500, "k", 1},
	} {
		var tries atomic.Int32
		n := newNode(t, func(w http.ResponseWriter, _ *http.Request) {
			tries.Add(1)
			if c.status == 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
		}, WithRetry(Retry{Attempts: 2, Base: time.Nanosecond}))
		_, err := n.Ingest(context.Background(), &Events{Body: []byte("{}"), ContentType: JSON, Key: c.key})
		if err == nil || tries.Load() != c.tries {
			t.Errorf("status %d, key %q: tried %d times, want %d (%v)", c.status, c.key, tries.Load(), c.tries, err)
		}
	}
	var tries atomic.Int32
	n := newNode(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) < 3 {
			w.WriteHeader(503)
			return
		}
		answerWith(&api.Ingested{Status: "success"})(w, nil)
	}, WithRetry(Retry{Attempts: 5, Base: time.Nanosecond}))
	if got, err := n.Ingest(context.Background(), &Events{Key: "k"}); err != nil || got.Status != "success" || n.request.Header.Get("Idempotency-Key") != "k" {
		t.Errorf("the third try: %+v, %v", got, err)
	}
	tries.Store(0)
	plain := newNode(t, func(w http.ResponseWriter, _ *http.Request) { tries.Add(1); w.WriteHeader(429) })
	if _, err := plain.Ingest(context.Background(), &Events{Key: "k"}); err == nil || tries.Load() != 1 {
		t.Errorf("without a policy: tried %d times (%v)", tries.Load(), err)
	}
}

func TestWaitsDoubleAndHonourRetryAfter(t *testing.T) {
	most := func(n int64) int64 { return n - 1 }
	r := Retry{Base: 100 * time.Millisecond, Max: 2 * time.Second}
	busy := &Error{Status: 429, RetryAfter: time.Second}
	for _, c := range []struct {
		retry  Retry
		n      int
		err    error
		random func(int64) int64
		want   time.Duration
	}{
		{r, 0, io.EOF, most, 100 * time.Millisecond},
		{r, 3, io.EOF, most, 800 * time.Millisecond},
		{r, 63, io.EOF, most, 2 * time.Second},
		{r, 5, io.EOF, func(int64) int64 { return 0 }, 0},
		{r, 0, busy, func(int64) int64 { return 0 }, time.Second},
		{r, 0, busy, most, 1100 * time.Millisecond},
		{r, 9, busy, most, 2 * time.Second},
		{r, 0, &Error{RetryAfter: time.Hour}, most, 2 * time.Second},
		{Retry{}, 0, io.EOF, most, 100 * time.Millisecond},
		{Retry{}, 20, io.EOF, most, 10 * time.Second},
	} {
		if got := c.retry.wait(c.n, c.err, c.random); got != c.want {
			t.Errorf("retry %d of %+v after %v waits %v, want %v", c.n, c.retry, c.err, got, c.want)
		}
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tries := 0
		started := time.Now()
		busy := &Error{Status: 429, RetryAfter: 30 * time.Second}
		err := Retry{Attempts: 100, Max: time.Minute}.retrying(ctx, true, func() error { tries++; return busy })
		if err != busy || tries != 1 || time.Since(started) != time.Second {
			t.Errorf("%d tries in %v, error %v", tries, time.Since(started), err)
		}
	})
}

func TestConnectionsAreKept(t *testing.T) {
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c, err := New(srv.URL, WithConnections(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 10 {
		if _, err := c.Health(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(context.Background()); err == nil {
			t.Fatal("503 is ready")
		}
	}
	// One, but net/http lets go of a connection that is slow to say it was written.
	if n := opened.Load(); n > 5 {
		t.Errorf("20 requests took %d connections", n)
	}
}

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "http://h:1/": "http://h:1", "https://h/crest": "https://h/crest",
		"": "", "ftp://h": "", "http://": "", "http://h?x=1": "", "http://[::1": "",
	} {
		c, err := New(addr)
		if (err != nil) != (want == "") || err == nil && c.Addr() != want {
			t.Errorf("address %q: %v, %v, want %q", addr, c, err, want)
		}
	}
	var u *url.Error
	c, err := New("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Health(context.Background()); err == nil || errors.As(err, &u) || !strings.Contains(err.Error(), "http://127.0.0.1:1") {
		t.Errorf("nobody listens: %v", err)
	}
}
