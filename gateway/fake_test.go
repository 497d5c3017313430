package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/metrics"
	"github.com/crestdb/crest/messages"
)

// fakeEngine answers every question from its fields and remembers the
// question.
type fakeEngine struct {
	*fakeNode // takes events

	mu    sync.Mutex
	asked any   // the last query
	err   error // instead of an answer
	ready error
	block chan struct{} // if set, questions wait for it or for their context

	board    messages.Board
	total    messages.Count // of topics' cells
	regions  []messages.CellTotal
	sketches messages.SketchError // in use for topics and cells
	finest   messages.Micros      // of a series; 0: anything goes

	taken     []messages.Snapshot // by a request for snapshots
	snapshots messages.SnapshotStatus
	arrival   messages.Micros // of what partition 1 has counted; 0: nothing
}

var testMoment = messages.Moment{Start: 1_700_000_000_000_000, End: 1_700_003_600_000_000, AsOf: 1_700_003_599_123_456}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{
		fakeNode: newFakeNode(2),
		total:    messages.ExactCount(60),
		board: messages.Board{
			Moment: testMoment, Version: "v1", Total: messages.ExactCount(60), Certified: 2, Exact: true,
			Rows: []messages.Row{
				{Topic: "a/b", Count: messages.ExactCount(30), Certified: true},
				{Topic: "<b>&", Count: messages.ExactCount(20), Certified: true},
			},
		},
		regions: []messages.CellTotal{{Name: "IN", Total: messages.Count{Lower: 10, Estimate: 12, Upper: 20}}},
	}
}

func (e *fakeEngine) ask(ctx context.Context, q any) error {
	e.mu.Lock()
	e.asked = q
	err, block := e.err, e.block
	e.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (e *fakeEngine) last() any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func (e *fakeEngine) set(change func(*fakeEngine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *fakeEngine) Board(ctx context.Context, q *messages.BoardQuery) (*messages.Board, error) {
	if err := e.ask(ctx, q); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.board
	b.Window, b.Cell, b.K = q.Window, q.Cell, q.K
	return &b, nil
}

func (e *fakeEngine) Counts(ctx context.Context, q *messages.CountQuery) (*messages.Counts, error) {
	if err := e.ask(ctx, q); err != nil {
		return nil, err
	}
	counts := make([]messages.Count, len(q.Topics))
	for i, t := range q.Topics {
		counts[i] = messages.ExactCount(uint64(len(t)))
	}
	return &messages.Counts{Moment: testMoment, Counts: counts, Total: e.total}, nil
}

func (e *fakeEngine) Rank(ctx context.Context, q *messages.RankQuery) (*messages.Rank, error) {
	if err := e.ask(ctx, q); err != nil {
		return nil, err
	}
	rows := e.board.Rows
	return &messages.Rank{Moment: testMoment, Lower: 1, Upper: 1, Count: rows[0].Count, Neighbours: rows, First: 1, Total: messages.ExactCount(60)}, nil
}

func (e *fakeEngine) Series(ctx context.Context, q *messages.SeriesQuery) (*messages.Series, error) {
	if err := e.ask(ctx, q); err != nil {
		return nil, err
	}
	if q.Granularity < e.finest {
		return nil, &messages.NotKeptError{Finest: e.finest}
	}
	s := &messages.Series{Moment: testMoment}
	for at := messages.Micros(0); at < messages.Micros(q.Window); at += q.Granularity {
		s.Starts = append(s.Starts, testMoment.Start+at)
	}
	if q.Top > 0 {
		s.Top = e.board.Rows[:min(q.Top, len(e.board.Rows))]
	}
	for i := range s.Top {
		s.Topics = append(s.Topics, s.Top[i].Topic)
	}
	s.Topics = append(s.Topics, q.Topics...)
	for _, topic := range s.Topics {
		counts := make([]messages.Count, len(s.Starts))
		for i := range counts {
			counts[i] = messages.ExactCount(uint64(len(topic)))
			if topic == "" {
				counts[i] = messages.ExactCount(100)
			}
		}
		s.Counts = append(s.Counts, counts)
	}
	return s, nil
}

func (e *fakeEngine) Topics(ctx context.Context, q *messages.TopicsQuery) (*messages.Topics, error) {
	return &messages.Topics{Moment: testMoment, SketchError: e.sketches, Rows: e.board.Rows}, e.ask(ctx, q)
}

func (e *fakeEngine) Cells(ctx context.Context, q *messages.CellsQuery) (*messages.Cells, error) {
	return &messages.Cells{
		Moment: testMoment, SketchError: e.sketches, Total: messages.ExactCount(60),
		Categories: []messages.CellTotal{{Name: "music", Total: messages.ExactCount(60)}},
		Regions:    e.regions,
	}, e.ask(ctx, q)
}

func (e *fakeEngine) Ledger(ctx context.Context) ([]messages.Ledger, error) {
	l := messages.Ledger{Logged: 5, Counted: 4, Duplicates: 1, NextOffset: 6, AppliedOffset: 6, Controls: 1, Epoch: 1}
	return []messages.Ledger{l, l}, e.ask(ctx, "ledger")
}

func (e *fakeEngine) Status(ctx context.Context) (*messages.EngineStatus, error) {
	l, _ := e.Ledger(ctx)
	p := messages.PartitionStatus{Ledger: l[0], Clock: testMoment.AsOf, Arrival: testMoment.AsOf, Topics: 3, Rows: 9, Slices: 385, Memory: messages.Memory{Rows: 1 << 20, Dedup: 7}}
	q := p
	q.Clock, q.Failed, q.AppliedOffset, q.Arrival = 0, "damaged", 2, e.arrival
	return &messages.EngineStatus{
		EngineTime: testMoment.AsOf, Settings: messages.DefaultSettings(), Boards: 2,
		Partitions: []messages.PartitionStatus{p, q}, Memory: messages.Memory{Rows: 2 << 20, Dedup: 14},
		Snapshots: e.snapshots,
	}, e.ask(ctx, "status")
}

func (e *fakeEngine) Snapshot(ctx context.Context) ([]messages.Snapshot, error) {
	return e.taken, e.ask(ctx, "snapshot")
}

func (e *fakeEngine) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready
}

func (e *fakeEngine) Settings() messages.Settings { return messages.DefaultSettings() }

func (e *fakeEngine) EngineTime() messages.Micros { return testMoment.AsOf }

// testServer is a server over a fake engine, asked without a network.
type testServer struct {
	*Server
	engine   *fakeEngine
	identity *messages.LogIdentity
	logged   *strings.Builder
}

func newTestServer(t testing.TB, change ...func(*Config)) *testServer {
	t.Helper()
	logged := new(strings.Builder)
	cfg := DefaultConfig()
	cfg.Logger = slog.New(slog.NewTextHandler(logged, nil))
	cfg.Now = func() messages.Micros { return testMoment.AsOf }
	cfg.Node = Node{
		Name: "n1", Role: "single", Version: "1.2.3", Started: time.Now().Add(-time.Minute),
		Budget:  func() []api.Share { return []api.Share{{Part: "engine", LimitBytes: 1 << 30, UsedBytes: 1 << 20}} },
		Samples: func() []metrics.Sample { return []metrics.Sample{{Name: "crest_log_bytes", Help: "Bytes.", Value: 17}} },
	}
	for _, c := range change {
		c(&cfg)
	}
	engine := newFakeEngine()
	id := &engine.id
	id.Clock, id.Settings = messages.ClockWall, messages.DefaultSettings()
	s, err := New(cfg, id, engine, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !s.draining.Load() { // Run has closed it
			s.Close(context.Background())
		}
	})
	return &testServer{Server: s, engine: engine, identity: id, logged: logged}
}

// do sends a request whose target is taken as it is.
func (s *testServer) do(t testing.TB, method, target string, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func (s *testServer) get(t testing.TB, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return s.do(t, http.MethodGet, target, "", header...)
}

// decode reads an answer into T and insists on status 200.
func decodeAs[T any](t testing.TB, w *httptest.ResponseRecorder) *T {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	out := new(T)
	d := json.NewDecoder(strings.NewReader(w.Body.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		t.Fatalf("answer %s: %v", w.Body, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("something follows the answer %s", w.Body)
	}
	return out
}

// problemAs insists on a problem with the status.
func problemAs(t testing.TB, w *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != api.ProblemType {
		t.Errorf("Content-Type %q of a problem", got)
	}
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("problem %s: %v", w.Body, err)
	}
	if p["status"] != float64(status) || p["title"] == "" || p["detail"] == "" || p["type"] != "about:blank" {
		t.Errorf("problem %s lacks a member", w.Body)
	}
	return p
}
