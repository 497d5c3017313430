package gateway

import (
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/crestdb/crest/messages"
)

// contract is openapi.yaml, as readers understand it.
type contract struct {
	model     *v3.Document
	validator validator.Validator
	sent      map[string]bool // headers of answers, by canonical names
}

func readContract(t *testing.T) *contract {
	t.Helper()
	doc, err := libopenapi.NewDocument(openAPIText)
	if err != nil {
		t.Fatal(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("openapi.yaml: %v", e)
		}
	}
	return &contract{&model.Model, v, map[string]bool{}}
}

// operations are "METHOD pattern" of the contract.
func (c *contract) operations() []string {
	var out []string
	for pattern, item := range c.model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			out = append(out, strings.ToUpper(method)+" "+pattern)
		}
	}
	slices.Sort(out)
	return out
}

func TestContractAndServerHaveTheSameOperations(t *testing.T) {
	c, s := readContract(t), newTestServer(t)
	var served []string
	for _, r := range s.routes() {
		if r.get != nil {
			served = append(served, "GET "+r.pattern)
		}
		if r.post != nil {
			served = append(served, "POST "+r.pattern)
		}
	}
	slices.Sort(served)
	if described := c.operations(); !slices.Equal(served, described) {
		t.Errorf("served    %v\ndescribed %v", served, described)
	}
}

// exchange is a request the contract describes and the status it must have.
type exchange struct {
	operation string
	target    string // "" : the operation's pattern
	body      string
	header    []string
	status    int
	set       func(*fakeEngine)
	config    func(*Config)
}

const (
	oneEvent   = `{"topic":"a/b","category":"music","region":"IN","count":2,"event_id":"1","other":[1]}`
	someLines  = "{\"topic\":\"a\"}\n{\"topic\":\"\"}\n"
	wrongBatch = `[{"topic":""},{"topic":"b","count":0}]`
	halfEvent  = `{"topic":`
)

// exchanges has every operation, and every status a client has to tell apart.
func exchanges() []exchange {
	header := func(kv ...string) []string { return kv }
	asJSON := header("Content-Type", "application/json")
	list := []exchange{
		{operation: "GET /", status: 200},
		{operation: "GET /openapi.yaml", status: 200},
		{operation: "GET /livez", status: 200},
		{operation: "GET /readyz", status: 200},
		{operation: "GET /readyz", status: 503, set: func(e *fakeEngine) { e.ready = messages.ErrNotReady }},
		{operation: "GET /readyz", status: 503, set: func(e *fakeEngine) { e.ready = messages.ErrPartition }},
		{operation: "GET /readyz", status: 503, set: func(e *fakeEngine) { e.ready = lostPartition }},
		{operation: "GET /metrics", status: 200},
		{operation: "GET /api/v1/health", status: 200},
		{operation: "GET /api/v1/health", status: 200, set: func(e *fakeEngine) { e.ready = messages.ErrNotReady }},
		{operation: "GET /api/v1/metrics", status: 200},
		{operation: "GET /api/v1/ledger", status: 200},
		{operation: "GET /api/v1/status", status: 200},
		{operation: "GET /api/v1/status", status: 503, set: func(e *fakeEngine) { e.err = messages.ErrPartition }},

		{operation: "GET /api/v1/status", status: 200, set: func(e *fakeEngine) {
			e.snapshots = messages.SnapshotStatus{Taken: 2, Failed: 1, LastError: "full", Last: testSnapshots[0], Uncovered: 7}
		}},
		{operation: "GET /api/v1/health", status: 200, set: func(e *fakeEngine) { e.snapshots.LastError = "full" }},
		{operation: "GET /api/v1/health", status: 200, set: func(e *fakeEngine) { e.err = messages.ErrBusy }},
		{operation: "GET /api/v1/status", status: 200, config: withLog(testLog()), set: func(e *fakeEngine) { e.arrival = testMoment.Start }},
		{operation: "GET /api/v1/status", status: 200, config: withLog(&LogStatus{Kind: "kafka", Error: "refused", Warning: "letters"})},
		{operation: "POST /api/v1/admin/snapshot", status: 200},
		{operation: "POST /api/v1/admin/snapshot", status: 200, set: func(e *fakeEngine) { e.taken = testSnapshots }},
		{operation: "POST /api/v1/admin/snapshot", status: 503, set: func(e *fakeEngine) { e.err = messages.ErrNotReady }},
		{operation: "POST /api/v1/admin/snapshot", status: 503, set: func(e *fakeEngine) { e.taken, e.err = testSnapshots, io.ErrShortWrite }},
		{operation: "POST /api/v1/admin/snapshot", target: "/api/v1/admin/snapshot?partition=1", status: 400},
		{operation: "POST /api/v1/counts", body: `{"topics":["a","b"],"window":"1h"}`, header: asJSON, status: 200},
		{operation: "POST /api/v1/counts", body: `{"topics":["a"]}`, header: asJSON, status: 200, set: func(e *fakeEngine) { e.total.Upper = math.MaxUint64 }},
		{operation: "POST /api/v1/counts", body: `{"topics":["a"],"window":"0s"}`, header: asJSON, status: 400},
		{operation: "POST /api/v1/counts", body: `{}`, header: header("Content-Type", "text/plain"), status: 415},
		{operation: "GET /api/v1/cells", status: 200},
		{operation: "GET /api/v1/topics", target: "/api/v1/topics?prefix=wor&limit=3", status: 200},
		{operation: "GET /api/v1/trending/history", target: "/api/v1/trending/history?window=1h&granularity=5m&top=2", status: 200},
		{operation: "GET /api/v1/trending/history", target: "/api/v1/trending/history?window=all", status: 400},
	}
	for _, pattern := range []string{"/api/v1/trending", "/trending", "/api/trending"} {
		op := "GET " + pattern
		list = append(list,
			exchange{operation: op, status: 200},
			exchange{operation: op, target: pattern + "?window=37m&top=5&category=c&region=r&rank=count&exclude=x&exclude=y&max_per_category=1&require=exact", status: 200},
			exchange{operation: op, header: header("If-None-Match", "*"), status: 304},
			exchange{operation: op, target: pattern + "?top=0", status: 400},
			exchange{operation: op, target: pattern + "?require=exact", status: 409, set: func(e *fakeEngine) {
				e.board.Exact, e.board.SketchError = false, messages.SketchError{Epsilon: 0.001, Delta: 0.001}
			}},
			exchange{operation: op, status: 200, set: func(e *fakeEngine) { e.board.Rows = nil }},
			exchange{operation: op, status: 503, set: func(e *fakeEngine) { e.err = messages.ErrBehind }},
			exchange{operation: op, status: 500, set: func(e *fakeEngine) { e.err = io.ErrUnexpectedEOF }},
		)
	}
	for _, action := range []string{"count", "history", "rank"} {
		path, param := "GET /api/v1/topics/{topic}/"+action, "GET /api/v1/"+action
		list = append(list,
			exchange{operation: path, target: "/api/v1/topics/a%2Fb/" + action + "?window=1h&category=c&region=r", status: 200},
			exchange{operation: path, target: "/api/v1/topics/%00/" + action, status: 400},
			exchange{operation: path, target: "/api/v1/topics/x/" + action, status: 503, set: func(e *fakeEngine) { e.ready = messages.ErrNotReady }},
			exchange{operation: param, target: "/api/v1/" + action + "?topic=a/b", status: 200},
			exchange{operation: param, status: 400},
		)
	}
	for _, pattern := range []string{"/api/v1/events", "/api/v1/event", "/event"} {
		op := "POST " + pattern
		list = append(list,
			exchange{operation: op, body: oneEvent, header: asJSON, status: 200},
			exchange{operation: op, target: pattern + "?ack=none", body: oneEvent, header: asJSON, status: 200},
			exchange{operation: op, body: "[" + oneEvent + "]", header: header("Content-Type", "application/json", "Idempotency-Key", "k1"), status: 200},
			exchange{operation: op, body: someLines, header: header("Content-Type", "application/x-ndjson"), status: 200},
			exchange{operation: op, body: "\x81\xa5topic\xa1a", header: header("Content-Type", "application/msgpack"), status: 200},
			exchange{operation: op, body: halfEvent, header: asJSON, status: 400},
			exchange{operation: op, body: wrongBatch, header: asJSON, status: 422},
			exchange{operation: op, body: `{"topic":""}`, header: asJSON, status: 422},
			exchange{operation: op, body: "x", header: header("Content-Type", "text/csv"), status: 415},
			exchange{operation: op, body: `{"topic":"` + strings.Repeat("a", 20<<20) + `"}`, header: asJSON, status: 413},
			exchange{operation: op, body: oneEvent, header: asJSON, status: 429, set: func(e *fakeEngine) {
				e.fakeNode.set(func(n *fakeNode) { n.admitErr = &messages.RefusedError{Reason: "full"} })
			}},
			exchange{operation: op, body: oneEvent, header: asJSON, status: 503, set: func(e *fakeEngine) {
				e.fakeNode.set(func(n *fakeNode) { n.appendErr = messages.ErrStopped })
			}},
		)
	}
	return list
}

func TestAnswersKeepTheContract(t *testing.T) {
	c := readContract(t)
	seen := map[string]bool{}
	for _, x := range exchanges() {
		seen[x.operation] = true
		t.Run(fmt.Sprintf("%s %d", x.operation, x.status), func(t *testing.T) { c.check(t, x) })
	}
	for _, op := range c.operations() {
		if !seen[op] {
			t.Errorf("%s is described but was not asked", op)
		}
	}
	for op, name := range c.headers() {
		if !c.sent[http.CanonicalHeaderKey(name)] {
			t.Errorf("%s: header %q is described, and no answer has it", op, name)
		}
	}
}

// headers are the described headers of answers, with where they are described.
func (c *contract) headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for pattern, item := range c.model.Paths.PathItems.FromOldest() {
			for method, op := range item.GetOperations().FromOldest() {
				for code, response := range op.Responses.Codes.FromOldest() {
					for name := range response.Headers.FromOldest() {
						if !yield(strings.ToUpper(method)+" "+pattern+" "+code, name) {
							return
						}
					}
				}
			}
		}
	}
}

func (c *contract) check(t *testing.T, x exchange) {
	s := newTestServer(t, func(cfg *Config) {
		if x.config != nil {
			x.config(cfg)
		}
	})
	if x.set != nil {
		s.engine.set(x.set)
	}
	method, target, _ := strings.Cut(x.operation, " ")
	if x.target != "" {
		target = x.target
	}
	w := s.do(t, method, target, x.body, x.header...)
	if w.Code != x.status {
		t.Fatalf("status %d: %.300s", w.Code, w.Body)
	}
	answer := w.Result()
	for name := range answer.Header {
		c.sent[name] = true
	}
	if got := answer.Header.Get("Content-Type"); x.status >= 400 && x.status != 422 && got != "application/problem+json" {
		t.Errorf("Content-Type %q of an error", got)
	}
	request := httptest.NewRequest(method, target, strings.NewReader(x.body))
	for i := 0; i < len(x.header); i += 2 {
		request.Header.Set(x.header[i], x.header[i+1])
	}
	// What is accepted must be what is described. NDJSON and msgpack are no
	// single JSON value, which is all the validator can look into.
	if sent := request.Header.Get("Content-Type"); x.status == http.StatusOK && (sent == "" || sent == "application/json") {
		if ok, errs := c.validator.ValidateHttpRequestSync(request); !ok {
			for _, e := range errs {
				t.Errorf("request: %v %v", e, e.SchemaValidationErrors)
			}
		}
	}
	if ok, errs := c.validator.ValidateHttpResponse(request, answer); !ok {
		for _, e := range errs {
			t.Errorf("answer: %v %v\n%.500s", e, e.SchemaValidationErrors, w.Body)
		}
	}
}
