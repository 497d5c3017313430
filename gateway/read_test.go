package gateway

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

func TestCountHasTheShapeOfTheContract(t *testing.T) {
	s := newTestServer(t)
	w := s.get(t, "/api/v1/topics/a%2Fb/count?category=music")
	const want = `{"topic":"a/b","window":"5m","region":null,"category":"music","count_estimate":3,"lower_bound":3,"upper_bound":3,"exact":true,` +
		`"error_bound":"±0%","epsilon":0,"delta":0,"window_total":60,"window_total_lower_bound":60,"window_total_upper_bound":60,` +
		`"window_start":"2023-11-14T22:13:20Z","window_end":"2023-11-14T23:13:20Z","as_of":"2023-11-14T23:13:19.123456Z"}` + "\n"
	if w.Body.String() != want {
		t.Errorf("count\n%swant\n%s", w.Body, want)
	}
	c := decodeAs[api.Counts](t, s.do(t, "POST", "/api/v1/counts", `{"topics":["aaa","b"]}`))
	if len(c.Counts) != 2 || c.Counts[0].Topic != "aaa" || c.Counts[0].Estimate != 3 || c.Counts[1].Estimate != 1 || c.WindowTotal != 60 || c.Window != "5m" {
		t.Errorf("counts %+v", c)
	}
}

func TestNamesTellTheErrorOfTheirCounts(t *testing.T) {
	s := newTestServer(t)
	topics := decodeAs[api.Topics](t, s.get(t, "/api/v1/topics"))
	if topics.ErrorBound != "±0%" || topics.Epsilon != 0 || len(topics.Topics) != 2 || !topics.Topics[0].Exact {
		t.Errorf("topics %+v", topics)
	}
	s.engine.set(func(e *fakeEngine) {
		e.sketches = messages.SketchError{Epsilon: 0.002, Delta: 0.01}
		e.board.Rows[1].Count.Upper++
	})
	topics = decodeAs[api.Topics](t, s.get(t, "/api/v1/topics"))
	if topics.ErrorBound != "±0.2%" || topics.Epsilon != 0.002 || topics.Delta != 0.01 || topics.Topics[1].Exact {
		t.Errorf("topics with sketches in use %+v", topics)
	}
	// What is not certain of a total is what "other" may have of it, whatever the sketches hold.
	cells := decodeAs[api.Cells](t, s.get(t, "/api/v1/cells"))
	if cells.Exact || cells.ErrorBound != "see lower_bound and upper_bound" || cells.Epsilon != 0.002 || cells.Delta != 0.01 {
		t.Errorf("cells with a folded region %+v", cells)
	}
	s.engine.set(func(e *fakeEngine) { e.regions[0].Total = messages.ExactCount(12) })
	cells = decodeAs[api.Cells](t, s.get(t, "/api/v1/cells"))
	if !cells.Exact || cells.ErrorBound != "±0%" || cells.Epsilon != 0.002 {
		t.Errorf("cells whose totals are known %+v", cells)
	}
}

func TestRankOfATopicThatDoesNotOccurIsNull(t *testing.T) {
	s := newTestServer(t)
	r := decodeAs[api.Rank](t, s.get(t, "/api/v1/rank?topic=a/b"))
	if *r.Rank != 1 || *r.RankLower != 1 || *r.RankUpper != 1 || !r.Exact || r.Estimate != 30 || len(r.Neighbours) != 2 || r.Neighbours[1].Rank != 2 {
		t.Errorf("rank %+v", r)
	}
	s.engine.set(func(e *fakeEngine) {
		e.board.Rows[0].Count, e.board.Rows[1].Count = messages.Count{}, messages.Count{}
	})
	r = decodeAs[api.Rank](t, s.get(t, "/api/v1/rank?topic=gone"))
	if r.Rank != nil || r.RankLower != nil || r.RankUpper != nil || !r.Exact || len(r.Neighbours) != 0 {
		t.Errorf("rank %+v of a topic that does not occur", r)
	}
}

func TestHistoryChoosesAGranularityThatIsKept(t *testing.T) {
	for _, c := range []struct {
		window string
		finest messages.Micros // what the engine keeps for it
		want   string
		points int
	}{
		{"5m", 0, "5s", 60},
		{"10m", 10 * messages.Second, "10s", 60},
		{"1h", messages.Minute, "1m", 60},
		{"24h", 20 * messages.Minute, "20m", 72},
		{"7d", 2 * messages.Hour, "2h", 84},
		{"30d", 12 * messages.Hour, "12h", 60},
		{"37m", messages.Minute, "1m", 37},
		{"1h", 0, "30s", 120},
		{"10s", 0, "5s", 2},
	} {
		s := newTestServer(t)
		s.engine.finest = c.finest
		h := decodeAs[api.History](t, s.get(t, "/api/v1/topics/x/history?window="+c.window))
		if h.Granularity != c.want || len(h.Trend) != c.points || !h.Exact || h.Trend[0].Timestamp != testMoment.Start.Time() {
			t.Errorf("window %s, finest %v: granularity %s with %d points, want %s with %d", c.window, c.finest, h.Granularity, len(h.Trend), c.want, c.points)
		}
	}
	s := newTestServer(t)
	s.engine.finest = messages.Minute
	p := problemAs(t, s.get(t, "/api/v1/topics/x/history?window=1h&granularity=30s"), 400)
	if p["finest"] != "1m" {
		t.Errorf("problem %v does not name the finest granularity", p)
	}
	p = problemAs(t, s.get(t, "/api/v1/topics/x/history?window=5m30s"), 400)
	if want := "a multiple of 1m"; !strings.Contains(p["detail"].(string), want) {
		t.Errorf("detail %q, want in it %q", p["detail"], want)
	}
}

func TestOtherIsWhatTheRowsLeaveOfTheCell(t *testing.T) {
	s := newTestServer(t)
	h := decodeAs[api.BoardHistory](t, s.get(t, "/api/v1/trending/history?window=1h&granularity=30m&top=2"))
	if len(h.Topics) != 2 || h.Topics[0].Topic != "a/b" || h.Topics[0].Rank != 1 || h.Topics[0].Estimate != 30 || len(h.Topics[1].Trend) != 2 {
		t.Fatalf("history %+v", h)
	}
	// Every point of the fake is its topic's length, and 100 for the cell.
	for _, p := range h.Other.Trend {
		if p.Estimate != 100-3-4 || p.Lower != 93 || p.Upper != 93 {
			t.Errorf("other %+v", p)
		}
	}
}

func TestOperationsTellTheNode(t *testing.T) {
	s := newTestServer(t)
	h := decodeAs[api.Health](t, s.get(t, "/api/v1/health"))
	if h.Status != "ok" || h.Node != "n1" || h.Role != "single" || h.Version != "1.2.3" || h.UptimeSec < 59 || !h.EngineTime.Equal(testMoment.AsOf.Time()) {
		t.Errorf("health %+v", h)
	}
	l := decodeAs[api.Ledger](t, s.get(t, "/api/v1/ledger"))
	if len(l.Partitions) != 2 || l.Partitions[1].Partition != 1 || l.Total.Logged != 10 || l.Total.Counted != 8 || l.Total.Epoch != 1 || len(l.Total.StateDigest) != 32 {
		t.Errorf("ledger %+v", l)
	}
	st := decodeAs[api.Status](t, s.get(t, "/api/v1/status"))
	if !st.Ready || st.Settings.Clock != "wall" || st.Settings.DedupWindow != "10m" || st.LagRecords != 4 || st.Partitions[1].Failed != "damaged" ||
		st.Partitions[1].Clock != nil || st.Partitions[0].Memory.Rows != 1<<20 || st.Budget[0].Part != "engine" {
		t.Errorf("status %+v", st)
	}
	m := decodeAs[api.Metrics](t, s.get(t, "/api/v1/metrics"))
	if m.CMSMemoryMB != 0 || m.TopKMemoryMB != 2 || m.ActiveBuckets != 385 || m.WindowSize != "30d" || m.ErrorBound != "±0%" || m.Rows != 18 || m.Ledger.Logged != 10 {
		t.Errorf("metrics %+v", m)
	}
	for _, text := range []string{
		`crest_info{node="n1",role="single",version="1.2.3"} 1`, "crest_ready 1", "crest_log_bytes 17",
		`crest_ledger_counted_total{partition="1"} 4`, `crest_partition_lag_records{partition="1"} 4`, `crest_engine_memory_bytes{kind="rows"}`, "crest_sketch_epsilon 0", "crest_sketch_delta 0",
		`crest_http_request_duration_seconds_count{method="GET",route="/api/v1/health",status="200"} 1`,
	} {
		if body := s.get(t, "/metrics").Body.String(); !strings.Contains(body, text) {
			t.Errorf("/metrics lacks %s", text)
		}
	}
	if w := s.get(t, "/"); !strings.Contains(w.Body.String(), "Version 1.2.3") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("page %v %s", w.Header(), w.Body)
	}
	if w := s.get(t, "/openapi.yaml"); !strings.HasPrefix(w.Body.String(), "openapi: 3.1") {
		t.Errorf("openapi.yaml begins with %.40q", w.Body)
	}
}

func TestReadinessFollowsTheReplay(t *testing.T) {
	s := newTestServer(t)
	if st := decodeAs[api.State](t, s.get(t, "/readyz")); st.Status != "ready" {
		t.Errorf("readyz %+v", st)
	}
	s.engine.set(func(e *fakeEngine) { e.ready = messages.ErrNotReady })
	problemAs(t, s.get(t, "/readyz"), 503)
	problemAs(t, s.get(t, "/api/v1/trending"), 503)
	problemAs(t, s.get(t, "/api/v1/count?topic=x"), 503)
	decodeAs[api.Ledger](t, s.get(t, "/api/v1/ledger"))
	decodeAs[api.State](t, s.get(t, "/livez"))
	if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.Status != "starting" || h.Reason == "" {
		t.Errorf("health %+v while the log is replayed", h)
	}
	s.engine.set(func(e *fakeEngine) { e.ready = messages.ErrPartition })
	problemAs(t, s.get(t, "/readyz"), 503)
	if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.Status != "degraded" {
		t.Errorf("health %+v with a failed partition", h)
	}

	stopped := newTestServer(t, func(c *Config) { c.Node.Log = func() error { return messages.ErrStopped } })
	decodeAs[api.State](t, stopped.get(t, "/readyz"))
	if h := decodeAs[api.Health](t, stopped.get(t, "/api/v1/health")); h.Status != "degraded" || h.Reason != messages.ErrStopped.Error() {
		t.Errorf("health %+v with a stopped log", h)
	}
}

func TestQueryRateCountsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t)
		for range 10 {
			s.get(t, "/api/v1/trending")
			s.get(t, "/readyz")
			time.Sleep(100 * time.Millisecond)
		}
		if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.QueryRateQPS != 10 {
			t.Errorf("%v queries per second, want the 10 that were asked", h.QueryRateQPS)
		}
	})
}
