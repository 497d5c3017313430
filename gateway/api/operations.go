package api

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// Health answers GET /api/v1/health, whatever the state of the node.
type Health struct {
	Status           string     `json:"status"` // ok; starting: the log is replayed; degraded: see reason
	Reason           string     `json:"reason,omitempty"`
	Warning          string     `json:"warning,omitempty"` // what does not work though the node does, or soon will not
	LagRecords       *uint64    `json:"lag_records"`       // in the log but not counted yet; null: the engine did not say at once
	LagSec           *float64   `json:"lag_sec"`           // how long ago that came which is counted, where something is not; null: not known
	UptimeSec        float64    `json:"uptime_sec"`
	EngineTime       *time.Time `json:"engine_time"` // null before the first event of an event clock
	IngestionRateEPS float64    `json:"ingestion_rate_eps"`
	QueryRateQPS     float64    `json:"query_rate_qps"`
	Node             string     `json:"node"`
	Role             string     `json:"role"`
	Version          string     `json:"version"`
}

// State answers GET /livez and GET /readyz.
type State struct {
	Status string `json:"status"`
}

// Metrics answers GET /api/v1/metrics: the node at a glance. GET /metrics has
// the same and more for Prometheus.
type Metrics struct {
	CMSMemoryMB   float64 `json:"cms_memory_mb"`  // count-min sketches
	TopKMemoryMB  float64 `json:"topk_memory_mb"` // rows, their names, slices and candidates
	WindowSize    string  `json:"window_size"`    // longest sliding window kept
	ActiveBuckets int     `json:"active_buckets"` // time slices kept
	Error
	Topics           int             `json:"topics"`
	Rows             int             `json:"rows"`
	Boards           int             `json:"boards"`
	LagRecords       uint64          `json:"lag_records"` // durable but not counted yet
	LagSec           *float64        `json:"lag_sec"`     // of the partition that is furthest behind; null: not known
	IngestionRateEPS float64         `json:"ingestion_rate_eps"`
	QueryRateQPS     float64         `json:"query_rate_qps"`
	Memory           Memory          `json:"memory"`
	Budget           []Share         `json:"budget"`
	Ledger           PartitionLedger `json:"ledger"`
}

// Share is one part of the node's memory budget.
type Share struct {
	Part       string `json:"part"`
	LimitBytes int64  `json:"limit_bytes"`
	UsedBytes  int64  `json:"used_bytes"`
}

// Memory is bytes by kind.
type Memory struct {
	Rows       int64 `json:"rows_bytes"`
	Names      int64 `json:"names_bytes"`
	Index      int64 `json:"index_bytes"`
	Lists      int64 `json:"lists_bytes"`
	Overlays   int64 `json:"overlays_bytes"`
	Candidates int64 `json:"candidates_bytes"`
	Sketches   int64 `json:"sketches_bytes"`
	Filters    int64 `json:"filters_bytes"`
	Combine    int64 `json:"combine_bytes"`
	Dedup      int64 `json:"dedup_bytes"`
}

// NewMemory converts an account of memory.
func NewMemory(m messages.Memory) Memory { return Memory(m) }

// Ledger answers GET /api/v1/ledger: every event accounted for. At rest
// logged = counted + duplicates + dead_lettered.
type Ledger struct {
	Partitions []NumberedLedger `json:"partitions"`
	Total      PartitionLedger  `json:"total"`
}

// NumberedLedger is the ledger of one partition.
type NumberedLedger struct {
	Partition int `json:"partition"`
	PartitionLedger
}

// PartitionLedger accounts for the events of a partition, or of all.
type PartitionLedger struct {
	Logged        uint64 `json:"logged"`
	Counted       uint64 `json:"counted"`
	Duplicates    uint64 `json:"duplicates"`
	DeadLettered  uint64 `json:"dead_lettered"`
	Late          uint64 `json:"late"`
	Clamped       uint64 `json:"clamped"`
	NextOffset    uint64 `json:"next_offset"`
	AppliedOffset uint64 `json:"applied_offset"`
	Controls      uint64 `json:"controls"` // applied offsets that hold no event
	Epoch         uint64 `json:"epoch"`
	StateDigest   string `json:"state_digest"`
}

// NewLedger converts the partitions' ledgers, in order.
func NewLedger(partitions []messages.Ledger) *Ledger {
	var total messages.Ledger
	l := &Ledger{Partitions: make([]NumberedLedger, len(partitions))}
	for i, p := range partitions {
		l.Partitions[i] = NumberedLedger{Partition: i, PartitionLedger: NewPartitionLedger(p)}
		total.Sum(p)
	}
	l.Total = NewPartitionLedger(total)
	return l
}

// NewPartitionLedger converts one ledger.
func NewPartitionLedger(l messages.Ledger) PartitionLedger {
	return PartitionLedger{
		Logged:        l.Logged,
		Counted:       l.Counted,
		Duplicates:    l.Duplicates,
		DeadLettered:  l.DeadLettered,
		Late:          l.Late,
		Clamped:       l.Clamped,
		NextOffset:    uint64(l.NextOffset),
		AppliedOffset: uint64(l.AppliedOffset),
		Controls:      l.Controls,
		Epoch:         l.Epoch,
		StateDigest:   l.Digest.String(),
	}
}

// Status answers GET /api/v1/status: the node for its operator.
type Status struct {
	Node       string            `json:"node"`
	Role       string            `json:"role"`
	Version    string            `json:"version"`
	Started    time.Time         `json:"started"`
	UptimeSec  float64           `json:"uptime_sec"`
	EngineTime *time.Time        `json:"engine_time"`
	Ready      bool              `json:"ready"`
	Reason     string            `json:"reason,omitempty"` // why not ready, or why the log takes no events
	Settings   Settings          `json:"settings"`
	Boards     int               `json:"boards"`
	LagRecords uint64            `json:"lag_records"`
	LagSec     *float64          `json:"lag_sec"`       // of the partition that is furthest behind; null: not known
	Log        *Log              `json:"log,omitempty"` // a log outside of the node
	Memory     Memory            `json:"memory"`
	Budget     []Share           `json:"budget"`
	Error                        // of the sketches in use
	Snapshots  SnapshotStatus    `json:"snapshots"`
	Partitions []PartitionStatus `json:"partitions"`
}

// Settings are what the log decides for every node that reads it.
type Settings struct {
	Clock         string `json:"clock"`
	Partitions    int    `json:"partitions"`
	DedupWindow   string `json:"dedup_window"`
	MaxAhead      string `json:"max_ahead"`
	MaxCategories int    `json:"max_categories"`
	MaxRegions    int    `json:"max_regions"`
}

// PartitionStatus is one shard with its ingest side.
type PartitionStatus struct {
	NumberedLedger
	Clock            *time.Time `json:"clock"`            // null before the first event
	Failed           string     `json:"failed,omitempty"` // why the partition stopped
	LagRecords       uint64     `json:"lag_records"`
	LagSec           *float64   `json:"lag_sec"`             // 0: nothing lags; null: not known
	LogBegin         *uint64    `json:"log_begin,omitempty"` // of a log outside of the node: the first offset it still has
	Headroom         *float64   `json:"headroom,omitempty"`  // and how far its retention is from what is counted: 1 far, 0 there
	Topics           int        `json:"topics"`
	Rows             int        `json:"rows"`
	Slices           int        `json:"slices"`
	CategoriesFolded bool       `json:"categories_folded"`
	RegionsFolded    bool       `json:"regions_folded"`
	Memory           Memory     `json:"memory"`
}

// NewPartitionStatus converts the status of partition number n.
func NewPartitionStatus(n int, p *messages.PartitionStatus) PartitionStatus {
	return PartitionStatus{
		NumberedLedger:   NumberedLedger{Partition: n, PartitionLedger: NewPartitionLedger(p.Ledger)},
		Clock:            MomentOrNull(p.Clock),
		Failed:           p.Failed,
		LagRecords:       Lag(p.Ledger),
		Topics:           p.Topics,
		Rows:             p.Rows,
		Slices:           p.Slices,
		CategoriesFolded: p.CategoriesFolded,
		RegionsFolded:    p.RegionsFolded,
		Memory:           NewMemory(p.Memory),
	}
}

// Lag is how many log entries are durable but not counted yet. The two offsets
// are read one after the other, so a negative distance means none.
func Lag(l messages.Ledger) uint64 {
	return minus(uint64(l.NextOffset), uint64(l.AppliedOffset))
}

// MomentOrNull is a moment, null if there was none yet.
func MomentOrNull(m messages.Micros) *time.Time {
	if m == 0 {
		return nil
	}
	t := m.Time()
	return &t
}
