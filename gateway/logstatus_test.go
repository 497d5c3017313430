package gateway

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// withLog gives a server a log outside of the node.
func withLog(l *LogStatus) func(*Config) {
	return func(c *Config) { c.Node.LogStatus = func() LogStatus { return *l } }
}

func testLog() *LogStatus {
	return &LogStatus{
		Kind: "kafka", Brokers: "127.0.0.1:9092", Topic: "events", DeadLetters: 7,
		Partitions: []LogPartition{{Begin: 2, End: 6}, {Begin: 0, End: 6}},
	}
}

func TestStatusTellsOfALogOutsideOfTheNode(t *testing.T) {
	l := testLog()
	s := newTestServer(t, withLog(l))
	// Partition 1 has counted 2 of 6 offsets, what came 90 s ago.
	s.engine.set(func(e *fakeEngine) { e.arrival = testMoment.AsOf - 90*messages.Second })
	st := decodeAs[api.Status](t, s.get(t, "/api/v1/status"))
	if want := (api.Log{Kind: "kafka", Brokers: "127.0.0.1:9092", Topic: "events", DeadLetters: 7}); st.Log == nil || *st.Log != want {
		t.Errorf("log %+v", st.Log)
	}
	p, q := st.Partitions[0], st.Partitions[1]
	if *p.LogBegin != 2 || *p.Headroom != 1 || *p.LagSec != 0 {
		t.Errorf("partition 0: begin %d, headroom %v, lag %v", *p.LogBegin, *p.Headroom, *p.LagSec)
	}
	if *q.LogBegin != 0 || *q.Headroom != 2.0/6 || *q.LagSec != 90 || q.LagRecords != 4 {
		t.Errorf("partition 1: begin %d, headroom %v, lag %v", *q.LogBegin, *q.Headroom, *q.LagSec)
	}
	if st.LagRecords != 4 || *st.LagSec != 90 {
		t.Errorf("lag %d, %v", st.LagRecords, *st.LagSec)
	}
	m := decodeAs[api.Metrics](t, s.get(t, "/api/v1/metrics"))
	if m.LagRecords != 4 || *m.LagSec != 90 {
		t.Errorf("metrics: lag %d, %v", m.LagRecords, *m.LagSec)
	}
	exposition := s.get(t, "/metrics").Body.String()
	for _, line := range []string{
		`crest_partition_lag_records{partition="1"} 4`, `crest_partition_lag_seconds{partition="0"} 0`, `crest_partition_lag_seconds{partition="1"} 90`,
		"crest_log_reachable 1", "crest_log_dead_letters_total 7",
		`crest_log_begin_offset{partition="0"} 2`, `crest_log_end_offset{partition="1"} 6`, `crest_log_headroom{partition="0"} 1`,
	} {
		if !strings.Contains(exposition, "\n"+line+"\n") {
			t.Errorf("/metrics does not say %q", line)
		}
	}
}

func TestEmbeddedLogHasNoStatusOfItsOwn(t *testing.T) {
	s := newTestServer(t)
	st := decodeAs[api.Status](t, s.get(t, "/api/v1/status"))
	if st.Log != nil || st.Partitions[0].LogBegin != nil || st.Partitions[0].Headroom != nil {
		t.Errorf("%+v", st)
	}
	// Nothing of partition 1 is counted yet, so nobody knows how far it is behind.
	if st.Partitions[1].LagSec != nil || *st.Partitions[0].LagSec != 0 {
		t.Errorf("lag %v, %v", st.Partitions[0].LagSec, st.Partitions[1].LagSec)
	}
	exposition := s.get(t, "/metrics").Body.String()
	if strings.Contains(exposition, "crest_log_headroom") || strings.Contains(exposition, `crest_partition_lag_seconds{partition="1"}`) {
		t.Error("/metrics tells of what is not known")
	}
}

func TestHealthWarnsOfTheLog(t *testing.T) {
	l := testLog()
	s := newTestServer(t, withLog(l))
	health := func() *api.Health { return decodeAs[api.Health](t, s.get(t, "/api/v1/health")) }
	if h := health(); h.Warning != "" || h.Status != "ok" || *h.LagRecords != 4 || h.LagSec == nil {
		t.Errorf("%+v", h)
	}
	for _, c := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"out of reach", func() { l.Error = "dial tcp: connection refused" }, []string{"cannot be reached: dial tcp"}},
		{"the log's own warning", func() { l.Warning = "dead letters go to a file" }, []string{"dead letters go to a file"}},
		{"retention", func() {
			l.Partitions[1] = LogPartition{Begin: 1, End: 100}
			s.engine.set(func(e *fakeEngine) { e.arrival = testMoment.AsOf - lowFrom*messages.Second })
		}, []string{"in partitions 1;", "retention"}},
		{"all at once", func() {
			l.Error, l.Warning, l.Partitions[1] = "refused", "letters", LogPartition{Begin: 1, End: 100}
			s.engine.set(func(e *fakeEngine) {
				e.arrival, e.snapshots.LastError = testMoment.AsOf-lowFrom*messages.Second, "denied"
			})
		}, []string{"refused; letters; ", "in partitions 1;", "; snapshots fail: denied"}},
	} {
		*l = *testLog()
		c.change()
		h := health()
		for _, text := range c.want {
			if h.Status != "ok" || !strings.Contains(h.Warning, text) {
				t.Errorf("%s: %+v does not say %q", c.name, h, text)
			}
		}
	}
	// What came just now is not in danger, however little the log has.
	*l = *testLog()
	l.Partitions[1] = LogPartition{Begin: 1, End: 100}
	s.engine.set(func(e *fakeEngine) { e.arrival, e.snapshots.LastError = testMoment.AsOf-messages.Second, "" })
	if h := health(); h.Warning != "" {
		t.Errorf("warning %q", h.Warning)
	}
	// Nor is what is gone.
	l.Partitions[1] = LogPartition{Begin: 3, End: 100}
	s.engine.set(func(e *fakeEngine) { e.arrival = testMoment.AsOf - lowFrom*messages.Second })
	if h := health(); h.Warning != "" {
		t.Errorf("warning %q", h.Warning)
	}
	// Nor is what a log has of which nothing was removed yet.
	l.Partitions[1].Begin = 0
	s.engine.set(func(e *fakeEngine) { e.arrival = testMoment.AsOf - lowFrom*messages.Second })
	if h := health(); h.Warning != "" {
		t.Errorf("warning %q", h.Warning)
	}
}

func TestHeadroom(t *testing.T) {
	for _, c := range []struct {
		begin, applied, end messages.Offset
		want                float64
	}{
		{0, 0, 0, 1}, {5, 5, 5, 1}, {0, 8, 8, 1}, {0, 9, 8, 1}, // the end is read before what is counted
		{4, 6, 12, 0.25}, {4, 11, 12, 0.875}, {4, 4, 12, 0}, {4, 1, 12, 0},
	} {
		if got := (LogPartition{Begin: c.begin, End: c.end}).headroom(c.applied); got != c.want {
			t.Errorf("[%d, %d) counted to %d: %v, want %v", c.begin, c.end, c.applied, got, c.want)
		}
	}
}

func TestReadyzNamesThePartitionsBehind(t *testing.T) {
	s := newTestServer(t)
	s.engine.set(func(e *fakeEngine) { e.ready, e.arrival = messages.ErrNotReady, testMoment.AsOf-2*messages.Second })
	p := problemAs(t, s.get(t, "/readyz"), 503)
	behind, ok := p["behind"].([]any)
	if !ok || len(behind) != 1 {
		t.Fatalf("%v", p)
	}
	part := behind[0].(map[string]any)
	if part["partition"] != 1.0 || part["lag_records"] != 4.0 || part["lag_sec"] != 2.0 {
		t.Errorf("%v", part)
	}
	// An engine that says nothing keeps nobody waiting.
	s.engine.set(func(e *fakeEngine) { e.err = messages.ErrBusy })
	if p := problemAs(t, s.get(t, "/readyz"), 503); !slices.Equal(p["behind"].([]any), []any{}) {
		t.Errorf("%v", p)
	}
}

// Of a log that cannot be read nobody knows how far it is behind.
func TestLagOfALogThatCannotBeReadIsNotKnown(t *testing.T) {
	l := testLog()
	l.Partitions[0].Unread, l.Strays = true, 3
	s := newTestServer(t, withLog(l))
	s.engine.set(func(e *fakeEngine) { e.ready, e.arrival = messages.ErrNotReady, testMoment.AsOf-90*messages.Second })
	st := decodeAs[api.Status](t, s.get(t, "/api/v1/status"))
	// Partition 0 has counted what was heard of last, and more may have come since.
	if st.Partitions[0].LagSec != nil || st.Partitions[1].LagSec == nil || *st.Partitions[1].LagSec != 90 || st.LagSec != nil {
		t.Errorf("lag %v of partition 0, %v of 1, %v of all", st.Partitions[0].LagSec, st.Partitions[1].LagSec, st.LagSec)
	}
	if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.LagSec != nil || *h.LagRecords != 4 {
		t.Errorf("health: lag %v", *h.LagSec)
	}
	exposition := s.get(t, "/metrics").Body.String()
	for line, want := range map[string]bool{
		"crest_log_readable 0": true, "crest_log_strays_total 3": true, `crest_partition_lag_seconds{partition="1"} 90`: true,
		`crest_partition_lag_seconds{partition="0"}`: false,
	} {
		if strings.Contains(exposition, "\n"+line) != want {
			t.Errorf("/metrics says %q: want %v", line, want)
		}
	}
	l.Partitions[0].Unread = false
	if exposition := s.get(t, "/metrics").Body.String(); !strings.Contains(exposition, "\ncrest_log_readable 1\n") {
		t.Error("it can be read again, and nobody says so")
	}
}

// What health gives as its reason is no warning as well.
func TestHealthSaysAReasonOnce(t *testing.T) {
	l, down := testLog(), error(nil)
	l.Error = "kafka takes no writes since 7s"
	s := newTestServer(t, withLog(l), func(c *Config) { c.Node.Log = func() error { return down } })
	h := decodeAs[api.Health](t, s.get(t, "/api/v1/health"))
	if h.Status != "ok" || !strings.Contains(h.Warning, l.Error) { // it cannot be read, and takes events
		t.Errorf("%+v", h)
	}
	down = errors.New("kafka takes no writes since 8s")
	h = decodeAs[api.Health](t, s.get(t, "/api/v1/health"))
	if h.Status != "degraded" || h.Reason != down.Error() || h.Warning != "" {
		t.Errorf("%+v", h)
	}
	l.Warning = "letters"
	if h = decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.Warning != "letters" {
		t.Errorf("%+v", h)
	}
}
