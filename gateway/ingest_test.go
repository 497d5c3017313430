package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

const testNow = messages.Micros(1_762_000_000_000_000) // 2025-11-01T12:26:40Z

// ingestTest is an ingest before a fake node, with small limits.
type ingestTest struct {
	t    *testing.T
	node *fakeNode
	in   *ingest
}

func newIngestTest(t *testing.T, change func(*ingestConfig)) *ingestTest {
	t.Helper()
	node := newFakeNode(4)
	cfg := ingestConfig{
		Identity:    &node.id,
		Now:         func() messages.Micros { return testNow },
		MaxAhead:    func() time.Duration { return 5 * time.Minute },
		MaxBody:     64 << 10,
		MaxInFlight: 1 << 20,
		MaxWait:     10 * time.Millisecond,
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	in, err := newIngest(cfg, node, node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close(context.Background()) // again, if the test did it
		if used := in.budget.inFlight(); used != 0 {
			t.Errorf("%d bytes of the budget were not given back", used)
		}
	})
	return &ingestTest{t: t, node: node, in: in}
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
	fields map[string]any
}

// request is one that posts a body of unsaid type.
func request(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, eventsPath, strings.NewReader(body))
}

// send posts a body; headers are pairs.
func (it *ingestTest) send(path, body string, headers ...string) reply {
	it.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return it.do(r)
}

func (it *ingestTest) do(r *http.Request) reply {
	it.t.Helper()
	w := httptest.NewRecorder()
	if err := it.in.post(w, r); err != nil {
		p := problemOf(err, 0)
		problem(w, r, p.status, p.title, p.detail, p.extra)
	}
	re := reply{status: w.Code, header: w.Header(), body: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &re.fields); err != nil {
		it.t.Errorf("answer is no JSON: %v\n%s", err, re.body)
	}
	return re
}

const (
	eventsPath = "/api/v1/events"
	typeHeader = "Content-Type"
	jsonBody   = "application/json"
	ndjsonBody = "application/x-ndjson"
	packBody   = "application/msgpack"
)

func TestOneObjectIsAnsweredWithTopicAndPosition(t *testing.T) {
	it := newIngestTest(t, nil)
	re := it.send(eventsPath, `{"topic":"a&b","category":"x"}`, typeHeader, jsonBody)
	if re.status != 200 || re.fields["status"] != "success" || re.fields["message"] != "Event ingested" || re.fields["topic"] != "a&b" ||
		re.fields["accepted"] != 1.0 || re.fields["rejected"] != 0.0 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	pos, err := messages.ParsePosition(re.fields["position"].(string), it.node.id.ID, 4)
	if err != nil || !pos.Covers(it.node.ends) {
		t.Fatalf("position %v, %v; log ends at %v", pos, err, it.node.ends)
	}
}

func TestBatchCountsGoodEventsAndNamesTheOthers(t *testing.T) {
	it := newIngestTest(t, nil)
	re := it.send(eventsPath, "{\"topic\":\"a\"}\n\n{\"topic\":}\n{\"topic\":\"b\",\"count\":0}\n", typeHeader, ndjsonBody)
	want := `{"status":"partial","accepted":1,"rejected":2,"errors":[{"index":1,"line":3,"column":10,"reason":"want a value"},{"index":2,"line":4,"reason":"count: 0; want an integer from 1 to 2147483648"}],"position":"`
	if re.status != 200 || !strings.HasPrefix(re.body, want) {
		t.Fatalf("%d %s", re.status, re.body)
	}
	if n := len(it.node.records()); n != 1 {
		t.Fatalf("%d records in the log, want 1", n)
	}
}
