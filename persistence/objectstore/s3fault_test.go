package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

var answers = map[string]faultstore.Answer{
	"500": faultstore.Internal, "503": faultstore.Slowdown, "503 but done": faultstore.Late,
	"409": faultstore.Conflict, "reset": faultstore.Reset, "reset after the deed": faultstore.Lost,
	"silence": faultstore.Hang, "silence after the deed": faultstore.HangAfter,
}

// quick is a store whose attempts are over soon, but not before a busy machine
// has answered.
func (s *server) quick(t *testing.T, attempts int, decide func(int, *http.Request) faultstore.Answer) (objectstore.Store, *faultstore.Transport) {
	transport := &faultstore.Transport{Decide: decide}
	return s.openWith(t, transport, func(c *objectstore.Config) {
		c.Attempts, c.Timeout = attempts, 2*time.Second
	}), transport
}

// TestAPutIsOurs: a put whose first answer says nothing has happened once, and
// its version is that of what is there.
func TestAPutIsOurs(t *testing.T) {
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			plain, ctx := server.open(t, nil), t.Context()
			s, _ := server.quick(t, 3, faultstore.Script(answer))
			v := must[objectstore.Version](t)(s.PutIfAbsent(ctx, "k", []byte("one")))
			if body, now := get(t, plain, "k"); body != "one" || now != v {
				t.Fatalf("%q, version %s for %s", body, now, v)
			}
			s, _ = server.quick(t, 3, faultstore.Script(answer))
			next := must[objectstore.Version](t)(s.PutIfMatch(ctx, "k", []byte("two"), v))
			if body, now := get(t, plain, "k"); body != "two" || now != next {
				t.Fatalf("%q, version %s for %s", body, now, next)
			}
			s, _ = server.quick(t, 3, faultstore.Script(answer))
			next = must[objectstore.Version](t)(s.Put(ctx, "k", []byte("three")))
			if body, now := get(t, plain, "k"); body != "three" || now != next {
				t.Fatalf("%q, version %s for %s", body, now, next)
			}
			s, _ = server.quick(t, 3, faultstore.Script(answer))
			if err := s.Delete(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			if body, _ := get(t, plain, "k"); body != "" {
				t.Fatalf("%q", body)
			}
		})
	}
}

// TestTheLastAttemptIsLookedAfterToo: there is no further attempt that would
// be refused.
func TestTheLastAttemptIsLookedAfterToo(t *testing.T) {
	for name, answer := range answers {
		server := newServer(t)
		s, _ := server.quick(t, 1, faultstore.Script(answer))
		_, err := s.PutIfAbsent(t.Context(), "k", []byte("one"))
		done := answer == faultstore.Late || answer == faultstore.Lost || answer == faultstore.HangAfter
		if (err == nil) != done || err != nil && class(err) != "another error" {
			t.Errorf("%s: %v", name, err)
		}
		if body, _ := get(t, server.open(t, nil), "k"); (body == "one") != done {
			t.Errorf("%s: %q", name, body)
		}
	}
}

// TestReplacedBeforeItWasLookedAfter: the answer is lost, and somebody builds
// on what was put. It must not be called refused: it was there.
func TestReplacedBeforeItWasLookedAfter(t *testing.T) {
	server := newServer(t)
	plain, ctx := server.open(t, nil), t.Context()
	v := must[objectstore.Version](t)(plain.Put(ctx, "k", []byte("zero")))
	s, _ := server.quick(t, 3, func(n int, _ *http.Request) faultstore.Answer {
		if n == 1 {
			return faultstore.Lost
		}
		if n == 2 {
			body, now := get(t, plain, "k")
			if body != "one" {
				t.Errorf("%q", body)
			}
			must[objectstore.Version](t)(plain.PutIfMatch(ctx, "k", []byte("two"), now))
		}
		return faultstore.Pass
	})
	_, err := s.PutIfMatch(ctx, "k", []byte("one"), v)
	if class(err) != "another error" || !strings.Contains(err.Error(), "may have been stored and replaced") {
		t.Error(err)
	}
}

// TestSomebodyElsesEqualBodyIsNotOurs: two put the same, and one answer is
// lost; the object is the other's.
func TestSomebodyElsesEqualBodyIsNotOurs(t *testing.T) {
	server := newServer(t)
	plain, ctx := server.open(t, nil), t.Context()
	s, _ := server.quick(t, 3, func(n int, _ *http.Request) faultstore.Answer {
		if n == 1 {
			must[objectstore.Version](t)(plain.PutIfAbsent(ctx, "k", []byte("same")))
			return faultstore.Slowdown
		}
		return faultstore.Pass
	})
	if _, err := s.PutIfAbsent(ctx, "k", []byte("same")); class(err) != "another error" {
		t.Error(err)
	}
}

// forgetful drops the metadata of every answer, as some gateways do.
type forgetful struct{ http.RoundTripper }

func (f forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(r)
	if err == nil {
		for name := range resp.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				resp.Header.Del(name)
			}
		}
	}
	return resp, err
}

func TestWithoutMetadataTheBodyTells(t *testing.T) {
	server := newServer(t)
	plain, ctx := server.open(t, nil), t.Context()
	open := func(decide func(int, *http.Request) faultstore.Answer) objectstore.Store {
		return server.open(t, forgetful{&faultstore.Transport{Decide: decide}})
	}
	must[objectstore.Version](t)(open(faultstore.Script(faultstore.Lost)).PutIfAbsent(ctx, "k", []byte("nonce 1")))
	must[objectstore.Version](t)(plain.Put(ctx, "other", []byte("nonce 2")))
	if _, err := open(faultstore.Script(faultstore.Slowdown)).PutIfAbsent(ctx, "other", []byte("nonce 3")); class(err) != "another error" {
		t.Error(err)
	}
}

func TestRefusalsAndConflicts(t *testing.T) {
	server := newServer(t)
	plain, ctx := server.open(t, nil), t.Context()
	v := must[objectstore.Version](t)(plain.Put(ctx, "k", []byte("zero")))

	s, transport := server.quick(t, 3, faultstore.Script(faultstore.Refused))
	if _, err := s.PutIfMatch(ctx, "k", []byte("one"), v); !errors.Is(err, objectstore.ErrChanged) || transport.Requests() != 1 {
		t.Errorf("%v after %d requests", err, transport.Requests())
	}
	s, transport = server.quick(t, 3, faultstore.Script(faultstore.Refused))
	if _, err := s.PutIfAbsent(ctx, "new", []byte("one")); !errors.Is(err, objectstore.ErrExists) || transport.Requests() != 1 {
		t.Errorf("%v after %d requests", err, transport.Requests())
	}
	// A conflict is nobody's answer: what follows it is.
	s, _ = server.quick(t, 3, faultstore.Script(faultstore.Conflict, faultstore.Refused))
	if _, err := s.PutIfMatch(ctx, "k", []byte("one"), v); !errors.Is(err, objectstore.ErrChanged) {
		t.Error(err)
	}
	s, transport = server.quick(t, 3, faultstore.Script(faultstore.Conflict, faultstore.Conflict, faultstore.Conflict))
	if _, err := s.PutIfMatch(ctx, "k", []byte("one"), v); class(err) != "another error" || transport.Requests() != 3 {
		t.Errorf("%v after %d requests", err, transport.Requests())
	}
	if body, now := get(t, plain, "k"); body != "zero" || now != v {
		t.Errorf("%q", body)
	}
}

func TestReadsAreTriedAgain(t *testing.T) {
	for name, answer := range map[string]faultstore.Answer{
		"500": faultstore.Internal, "503": faultstore.Slowdown, "reset": faultstore.Reset,
		"silence": faultstore.Hang, "half a body": faultstore.Cut,
	} {
		server := newServer(t)
		ctx, want := t.Context(), strings.Repeat("body ", 10_000)
		must[objectstore.Version](t)(server.open(t, nil).Put(ctx, "k", []byte(want)))
		s, transport := server.quick(t, 2, func(n int, _ *http.Request) faultstore.Answer {
			if n%2 == 1 {
				return answer
			}
			return faultstore.Pass
		})
		if body, _ := get(t, s, "k"); body != want {
			t.Errorf("%s: %d bytes", name, len(body))
		}
		if part, err := s.GetRange(ctx, "k", 5, 9_000); err != nil || string(part) != want[5:9_005] {
			t.Errorf("%s: %d bytes, %v", name, len(part), err)
		}
		if keys := list(t, s, ""); len(keys) != 1 {
			t.Errorf("%s: %q", name, keys)
		}
		if transport.Requests() != 6 {
			t.Errorf("%s: %d requests", name, transport.Requests())
		}
		s, transport = server.quick(t, 3, faultstore.Random(1, 1, answer))
		if _, _, err := s.Get(ctx, "k"); class(err) != "another error" || transport.Requests() != 3 || !strings.Contains(err.Error(), "3 attempts") {
			t.Errorf("%s: %v after %d requests", name, err, transport.Requests())
		}
	}
}

func TestACallerWhoGivesUp(t *testing.T) {
	server := newServer(t)
	s, _ := server.quick(t, 100, faultstore.Random(1, 1, faultstore.Hang, faultstore.Slowdown))
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := s.PutIfAbsent(ctx, "k", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, _, err := s.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestABucketThatIsNotThere(t *testing.T) {
	server := newServer(t)
	cfg := objectstore.DefaultConfig()
	cfg.Endpoint, cfg.PathStyle = server.url, true
	s, err := objectstore.Open(t.Context(), "s3://no-such-bucket", cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err1 := s.Get(t.Context(), "k")
	_, err2 := s.PutIfMatch(t.Context(), "k", nil, `"v"`)
	_, err3 := s.PutIfAbsent(t.Context(), "k", nil)
	err4 := s.Delete(t.Context(), "k")
	for i, err := range []error{err1, err2, err3, err4, objectstore.Probe(t.Context(), s)} {
		if class(err) != "another error" || !strings.Contains(err.Error(), "the bucket is not there") {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

func TestWrongCredentialsAreSaidAtOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>")
	}))
	defer srv.Close()
	server := newServer(t)
	server.url = srv.URL
	s, transport := server.quick(t, 3, faultstore.Script())
	if _, _, err := s.Get(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || transport.Requests() != 1 {
		t.Errorf("%v after %d requests", err, transport.Requests())
	}
}

// TestAClockThatIsWrong: S3 refuses signatures of another hour; the second
// attempt signs by the server's clock.
func TestAClockThatIsWrong(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		server := newServer(t)
		clock := gofakes3.FixedTimeSource(time.Now().Add(step))
		backend := s3mem.New(s3mem.WithTimeSource(clock))
		if err := backend.CreateBucket(testBucket); err != nil {
			t.Fatal(err)
		}
		handler := gofakes3.New(backend, gofakes3.WithTimeSource(clock), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
		skewed := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", clock.Now().UTC().Format(http.TimeFormat))
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if d := signed.Sub(clock.Now()); err != nil || d.Abs() > 15*time.Minute {
				skewed++
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>")
				return
			}
			handler.ServeHTTP(w, r)
		}))
		defer srv.Close()
		server.url = srv.URL
		s := server.open(t, nil)
		must[objectstore.Version](t)(s.PutIfAbsent(t.Context(), "k", []byte("x")))
		if body, _ := get(t, s, "k"); body != "x" || skewed != 1 {
			t.Errorf("%v: %q, %d refused", step, body, skewed)
		}
	}
}

// TestListsThatAreNone: a server's listing that cannot be true ends with an
// error, and never goes on for ever.
func TestListsThatAreNone(t *testing.T) {
	page := func(token string, keys ...string) string {
		b := "<ListBucketResult>"
		for _, k := range keys {
			b += "<Contents><Key>some/prefix/" + k + "</Key><Size>1</Size></Contents>"
		}
		return b + "<IsTruncated>true</IsTruncated><NextContinuationToken>" + token + "</NextContinuationToken></ListBucketResult>"
	}
	for name, pages := range map[string][]string{
		"descending": {page("1", "b", "a")}, "the same page": {page("1", "a"), page("2", "a")},
		"the same token": {page("1", "a"), page("1", "b")}, "no token": {page("", "a")},
	} {
		n := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, pages[min(n, len(pages)-1)])
			n++
		}))
		server := newServer(t)
		server.url = srv.URL
		err := server.open(t, nil).List(t.Context(), "", func(objectstore.Info) error { return nil })
		if srv.Close(); err == nil || !strings.Contains(err.Error(), "list") || n > 2 {
			t.Errorf("%s: %v after %d pages", name, err, n)
		}
	}
}
