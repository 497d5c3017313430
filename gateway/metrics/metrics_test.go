package metrics

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestScrapeShowsRequestsAndSamples(t *testing.T) {
	m := New(func() ([]Sample, error) {
		return []Sample{
			{Name: "crest_log_bytes", Help: "Bytes.", Value: 17},
			{Name: "crest_ledger_counted_total", Help: "Counted.", Counter: true, Labels: map[string]string{"partition": "0"}, Value: 3},
			{Name: "crest_ledger_counted_total", Help: "Counted.", Counter: true, Labels: map[string]string{"partition": "1"}, Value: 4},
		}, nil
	})
	m.Request("/api/v1/trending", "GET", 200, 3*time.Millisecond)
	text := scrape(t, m)
	for _, want := range []string{
		`crest_http_request_duration_seconds_count{method="GET",route="/api/v1/trending",status="200"} 1`,
		"# TYPE crest_log_bytes gauge",
		"crest_log_bytes 17",
		"# TYPE crest_ledger_counted_total counter",
		`crest_ledger_counted_total{partition="1"} 4`,
		"go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
}

func TestFailingSourceCostsOnlyItsSamples(t *testing.T) {
	m := New(func() ([]Sample, error) {
		return []Sample{{Name: "crest_log_bytes", Help: "Bytes.", Value: 1}}, errors.New("engine gone")
	})
	m.Request("/livez", "GET", 200, time.Millisecond)
	text := scrape(t, m)
	for _, want := range []string{`route="/livez",status="200"} 1`, "crest_log_bytes 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
}

func TestRateLooksTenSecondsBack(t *testing.T) {
	var r Rate
	start := time.Unix(1_700_000_000, 0)
	at := func(sec float64) time.Time { return start.Add(time.Duration(sec * float64(time.Second))) }
	want := func(sec, rate float64) {
		t.Helper()
		if got := r.PerSecond(at(sec)); got != rate {
			t.Errorf("after %v s: %v per second, want %v", sec, got, rate)
		}
	}
	want(0, 0)
	r.Add(at(0), 6)
	want(0.5, 6)
	want(1, 6)
	want(2, 3)
	for s := 2; s < 12; s++ {
		r.Add(at(float64(s)), 50)
	}
	want(12, 50)
	want(17, 25)
	r.Add(at(3), 40) // a clock set back counts in the newest second
	want(18, 24)
	want(40, 0)
}
