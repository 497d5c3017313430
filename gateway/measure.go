package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/metrics"
	"github.com/crestdb/crest/messages"
)

// metricsJSON answers GET /api/v1/metrics: the node at a glance.
func (s *Server) metricsJSON(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	e, err := s.engine.Status(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	m := &api.Metrics{
		CMSMemoryMB:      float64(e.Memory.Sketches+e.Memory.Filters) / (1 << 20),
		TopKMemoryMB:     float64(e.Memory.Engine()-e.Memory.Sketches-e.Memory.Filters) / (1 << 20),
		WindowSize:       messages.Window30d.String(),
		Error:            api.NewError(e.Epsilon == 0, e.SketchError),
		Boards:           e.Boards,
		IngestionRateEPS: s.events.PerSecond(now),
		QueryRateQPS:     s.queries.PerSecond(now),
		Memory:           api.NewMemory(e.Memory),
		Budget:           s.budget(),
	}
	var total messages.Ledger
	for i := range e.Partitions {
		p := &e.Partitions[i]
		total.Sum(p.Ledger)
		m.Topics += p.Topics
		m.Rows += p.Rows
		m.ActiveBuckets = max(m.ActiveBuckets, p.Slices)
	}
	m.LagRecords, m.LagSec = s.lag(e, s.logStatus())
	m.Ledger = api.NewPartitionLedger(total)
	return answer(w, m)
}

// prometheus answers GET /metrics.
func (s *Server) prometheus(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	s.metrics.Handler().ServeHTTP(w, r)
	return nil
}

// samples are the engine's and the node's measurements, read at each scrape.
func (s *Server) samples() ([]metrics.Sample, error) {
	list := sampleList{}
	node := &s.cfg.Node
	list.add(false, "crest_info", "The node; always 1.", 1, "version", node.Version, "node", node.Name, "role", node.Role)
	list.add(false, "crest_uptime_seconds", "Time since the node started.", time.Since(node.Started).Seconds())
	list.add(false, "crest_ready", "1 once everything in the log is counted.", truth(s.engine.Ready() == nil))
	list.add(false, "crest_engine_time_seconds", "Engine time, in seconds since 1970.", float64(s.engine.EngineTime())/float64(messages.Second))
	for _, share := range s.budget() {
		list.add(false, "crest_memory_limit_bytes", "Planned share of the memory budget.", float64(share.LimitBytes), "part", share.Part)
		list.add(false, "crest_memory_used_bytes", "Used of that share.", float64(share.UsedBytes), "part", share.Part)
	}
	list.ingest(s.ingest.Stats())
	if node.Log != nil {
		list.add(false, "crest_log_writable", "0 when the log takes no events.", truth(node.Log() == nil))
	}
	if node.Samples != nil {
		list = append(list, node.Samples()...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.QueryTimeout)
	defer cancel()
	e, err := s.engine.Status(ctx)
	if err != nil {
		return list, err
	}
	list.engine(e)
	log := s.logStatus()
	for i := range e.Partitions {
		if sec := s.lagSeconds(i, &e.Partitions[i], log); sec != nil {
			list.add(false, "crest_partition_lag_seconds", "How long ago that came which is counted, where something is not; else 0.", *sec, "partition", strconv.Itoa(i))
		}
	}
	list.log(log, e)
	return list, nil
}

type sampleList []metrics.Sample

// add appends a sample; labels are name, value, name, value, …
func (l *sampleList) add(counter bool, name, help string, value float64, labels ...string) {
	s := metrics.Sample{Name: name, Help: help, Counter: counter, Value: value}
	if len(labels) > 0 {
		s.Labels = make(map[string]string, len(labels)/2)
		for i := 0; i < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
	}
	*l = append(*l, s)
}

func (l *sampleList) ingest(s IngestStats) {
	l.add(true, "crest_events_accepted_total", "Events durable since the node started.", float64(s.Accepted))
	l.add(true, "crest_events_rejected_total", "Events rejected since the node started.", float64(s.Rejected))
	l.add(true, "crest_events_lost_total", "Events answered with ack=none that did not get into the log.", float64(s.Lost))
	for _, o := range []struct {
		outcome string
		n       uint64
	}{{"taken", s.Taken}, {"faulty", s.Faulty}, {"refused", s.Refused}, {"unavailable", s.Unavailable}} {
		l.add(true, "crest_ingest_requests_total", "Ingest requests: taken, at fault (4xx), refused for lack of room (429), not possible (5xx).", float64(o.n), "outcome", o.outcome)
	}
	l.add(true, "crest_ingest_repeats_total", "Ingest requests answered from their Idempotency-Key.", float64(s.Repeats))
	l.add(true, "crest_ingest_body_bytes_total", "Bytes of ingest bodies, decoded.", float64(s.BytesIn))
}

func (l *sampleList) engine(e *messages.EngineStatus) {
	l.add(false, "crest_boards", "Boards kept because somebody asks for them.", float64(e.Boards))
	l.add(false, "crest_sketch_epsilon", "Error of the sketches in use, as a share of what is in them; 0 without any.", e.Epsilon)
	l.add(false, "crest_sketch_delta", "Probability that a count in the sketches is further off.", e.Delta)
	l.snapshots(&e.Snapshots)
	for _, m := range memoryKinds(e.Memory) {
		l.add(false, "crest_engine_memory_bytes", "Memory of the engine and its ids, by kind.", float64(m.bytes), "kind", m.kind)
	}
	for i := range e.Partitions {
		l.partition(strconv.Itoa(i), &e.Partitions[i])
	}
}

// log has the measurements of a log outside of the node.
func (l *sampleList) log(status *LogStatus, e *messages.EngineStatus) {
	if status == nil {
		return
	}
	l.add(false, "crest_log_reachable", "0 while the log cannot be reached.", truth(status.Error == ""))
	l.add(false, "crest_log_readable", "0 while a partition of the log cannot be read: how far it is behind is not known then.", truth(status.readable()))
	l.add(true, "crest_log_strays_total", "Events that were not in the partition of their topic, though all producers are said to put them there, since the node started.", float64(status.Strays))
	l.add(true, "crest_log_dead_letters_total", "Events put aside, since they cannot be counted, since the node started.", float64(status.DeadLetters))
	for i := range e.Partitions {
		p, ok := status.partition(i)
		if !ok {
			break
		}
		number := strconv.Itoa(i)
		l.add(false, "crest_log_begin_offset", "First offset that the log has.", float64(p.Begin), "partition", number)
		l.add(false, "crest_log_end_offset", "Offset behind the last that the log has.", float64(p.End), "partition", number)
		l.add(false, "crest_log_headroom", "How far the log's retention is from what is not counted yet: 1 far (everything is counted), 0 there.", p.headroom(e.Partitions[i].AppliedOffset), "partition", number)
	}
}

func (l *sampleList) snapshots(s *messages.SnapshotStatus) {
	l.add(true, "crest_snapshots_taken_total", "Snapshots of partitions taken since the node started.", float64(s.Taken))
	l.add(true, "crest_snapshots_failed_total", "Snapshots of partitions that failed since the node started.", float64(s.Failed))
	l.add(false, "crest_snapshot_failing", "1 while the last attempt to take a snapshot failed.", truth(s.LastError != ""))
	l.add(false, "crest_snapshot_uncovered_entries", "Log entries counted that no snapshot has: what a restart would replay.", float64(s.Uncovered))
	l.add(false, "crest_snapshot_stall_seconds_max", "Longest time that a shard stood still for a snapshot.", s.LongestStall.Seconds())
	l.add(false, "crest_snapshot_last_seconds", "Time until the last snapshot was durable.", s.Last.Took.Seconds())
}

func (l *sampleList) partition(number string, p *messages.PartitionStatus) {
	for _, c := range []struct {
		name, help string
		value      uint64
	}{
		{"crest_ledger_logged_total", "Events in the log.", p.Logged},
		{"crest_ledger_counted_total", "Events counted.", p.Counted},
		{"crest_ledger_duplicates_total", "Events dropped as repeats.", p.Duplicates},
		{"crest_ledger_dead_lettered_total", "Events refused behind the log.", p.DeadLettered},
		{"crest_ledger_late_total", "Events counted late.", p.Late},
		{"crest_ledger_clamped_total", "Events counted at their arrival since they lay after it.", p.Clamped},
	} {
		l.add(true, c.name, c.help, float64(c.value), "partition", number)
	}
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"crest_partition_lag_records", "Log entries durable but not counted yet.", float64(api.Lag(p.Ledger))},
		{"crest_partition_failed", "1 when the partition has stopped.", truth(p.Failed != "")},
		{"crest_partition_clock_seconds", "Partition clock, in seconds since 1970.", float64(p.Clock) / float64(messages.Second)},
		{"crest_partition_topics", "Topic rows.", float64(p.Topics)},
		{"crest_partition_rows", "All rows.", float64(p.Rows)},
		{"crest_partition_slices", "Time slices kept.", float64(p.Slices)},
	} {
		l.add(false, g.name, g.help, g.value, "partition", number)
	}
}

type kindBytes struct {
	kind  string
	bytes int64
}

func memoryKinds(m messages.Memory) []kindBytes {
	return []kindBytes{
		{"rows", m.Rows}, {"names", m.Names}, {"index", m.Index}, {"lists", m.Lists},
		{"overlays", m.Overlays}, {"candidates", m.Candidates}, {"sketches", m.Sketches}, {"filters", m.Filters},
		{"combine", m.Combine}, {"dedup", m.Dedup},
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
