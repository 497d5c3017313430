package metrics

import "github.com/prometheus/client_golang/prometheus"

// Sample is one measurement made by somebody else.
type Sample struct {
	// Name in Prometheus' style, with its unit: crest_log_bytes. The samples of
	// one name share Help, Counter and the label names.
	Name, Help string
	// Counter: the value only grows while the process lives.
	Counter bool
	Labels  map[string]string // nil: none
	Value   float64
}

// sampler collects samples. It describes nothing in advance, since which
// samples there are is known only when they are read.
type sampler func() ([]Sample, error)

// Describe implements prometheus.Collector.
func (sampler) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s sampler) Collect(out chan<- prometheus.Metric) {
	samples, err := s()
	for _, m := range samples {
		kind := prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc(m.Name, m.Help, nil, m.Labels)
		metric, err := prometheus.NewConstMetric(desc, kind, m.Value)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		out <- metric
	}
	if err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
}
