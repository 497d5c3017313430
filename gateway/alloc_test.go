package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// sink is a log that forgets.
type sink struct{ offset messages.Offset }

func (s *sink) Append(_ context.Context, f *messages.Frame, pos messages.Position) error {
	for i := range f.Blocks {
		s.offset += f.Blocks[i].Span()
		pos[f.Blocks[i].Partition] = s.offset
	}
	return nil
}

// idle is an engine that admits everything and remembers nothing.
type idle struct{ *fakeNode }

func (idle) Admit(context.Context, *messages.Frame, bool) error { return nil }

func newSinkIngest(t testing.TB) *ingest {
	node := newFakeNode(16)
	in, err := newIngest(ingestConfig{
		Identity: &node.id,
		Now:      func() messages.Micros { return testMoment.AsOf },
		MaxAhead: func() time.Duration { return time.Minute },
		MaxBody:  16 << 20, MaxInFlight: 64 << 20, MaxWait: time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}, &sink{}, idle{node})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(context.Background()) })
	return in
}

// TestEventsOfABatchAllocateNothing: a request may allocate, an event may not.
// Buffers that grow, and pools that the collector has emptied, are the few that
// more events may take.
func TestEventsOfABatchAllocateNothing(t *testing.T) {
	in := newSinkIngest(t)
	line := func(i int) []byte {
		return fmt.Appendf(nil, `{"topic":"video-%06d","user_id":"u%d","category":"c%d","region":"R%03d","count":2}`+"\n", i, i, i%20, i%200)
	}
	pack := func(i int) []byte { // {"topic": "video-…"}
		return fmt.Appendf(nil, "\x81\xa5topic\xacvideo-%06d", i)
	}
	for name, form := range map[string]struct {
		contentType string
		event       func(i int) []byte
	}{"ndjson": {"application/x-ndjson", line}, "msgpack": {"application/msgpack", pack}} {
		allocations := func(events int) float64 {
			var body []byte
			for i := range events {
				body = append(body, form.event(i)...)
			}
			return testing.AllocsPerRun(20, func() {
				r := httptest.NewRequest(http.MethodPost, "/api/v1/events", bytes.NewReader(body))
				r.Header.Set("Content-Type", form.contentType)
				w := httptest.NewRecorder()
				if err := in.post(w, r); err != nil || w.Code != http.StatusOK {
					t.Fatal(err, w.Code, w.Body)
				}
			})
		}
		const few, many = 1000, 5000
		if a, b := allocations(few), allocations(many); b-a > (many-few)/40 {
			t.Errorf("%s: %v allocations for %d events, %v for %d", name, a, few, b, many)
		}
	}
}

// BenchmarkSingle is a request of one event, without the connection.
func BenchmarkSingle(b *testing.B) {
	in := newSinkIngest(b)
	body := []byte(`{"topic":"dQw4w9WgXcQ","category":"Music","region":"IN","user_id":"u123456"}`)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/events", nil)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	w := &nobody{header: http.Header{}}
	reader := bytes.NewReader(body)
	r.Body = struct {
		*bytes.Reader
		nopCloser
	}{reader, nopCloser{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		if err := in.post(w, r); err != nil {
			b.Fatal(err)
		}
	}
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// nobody is an answer that nobody reads.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n *nobody) WriteHeader(int)             {}
