package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the registry behind GET /metrics. Its methods may be called by
// many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec

	mu sync.RWMutex
	// series are those of requests seen so far: finding them by their labels
	// cost more than counting in them.
	series map[seriesKey]prometheus.Observer
}

type seriesKey struct {
	route, method string
	status        int
}

// durationBuckets run from 100 µs (a board from the cache) to 10 s (a wait for
// a position that was not reached).
var durationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New makes the registry. samples is called at each scrape; what it returns is
// shown even if it also returns an error.
func New(samples func() ([]Sample, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		series:   make(map[seriesKey]prometheus.Observer),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "crest_http_request_duration_seconds",
			Help:    "Time to answer a request, by route and status.",
			Buckets: durationBuckets,
		}, []string{"route", "method", "status"}),
	}
	m.registry.MustRegister(
		m.requests,
		sampler(samples),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Request records an answer. route is a pattern, not a path, and method one of
// few, so that the number of series is bounded.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	key := seriesKey{route, method, status}
	m.mu.RLock()
	series := m.series[key]
	m.mu.RUnlock()
	if series == nil {
		series = m.requests.WithLabelValues(route, method, strconv.Itoa(status))
		m.mu.Lock()
		m.series[key] = series
		m.mu.Unlock()
	}
	series.Observe(took.Seconds())
}

// Handler serves the exposition. A failing source costs its samples, not the
// scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
