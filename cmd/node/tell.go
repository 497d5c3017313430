package node

import (
	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/metrics"
)

// gatewayConfig is how the edge behaves and what it tells about this node.
func (n *Node) gatewayConfig(engine *actors.Engine) gateway.Config {
	split := n.cfg.Split()
	c := gateway.DefaultConfig()
	c.Logger = n.cfg.Logger
	c.Now = n.clock.Now
	c.KeepUserIDs = n.cfg.KeepUserIDs
	c.MaxBody, c.MaxInFlight, c.AnswerBytes = int(n.cfg.maxBody()), split.Bodies, int(split.Answers)
	c.Node = gateway.Node{
		Name:    n.cfg.Name,
		Role:    "single",
		Version: n.cfg.Version,
		Started: n.started,
		Log:     n.log.Err,
		Budget:  func() []api.Share { return n.budget(engine) },
		Samples: n.samples,
	}
	return c
}

// budget is how the memory is split and what is used of it; the gateway adds
// what it holds itself (bodies and answers).
func (n *Node) budget(engine *actors.Engine) []api.Share {
	stats, used := n.log.Stats(), engine.MemoryUsed()
	in := map[string]int64{
		"engine": used.Engine(), "dedup": used.Dedup,
		"boards":   engine.BoardMemory(),
		"log_tail": stats.TailBytes, "log_cache": stats.CacheBytes, "log_group": stats.PendingBytes,
	}
	var shares []api.Share
	n.cfg.Split().Each(func(part string, bytes int64) {
		if used, ok := in[part]; ok {
			shares = append(shares, api.Share{Part: part, LimitBytes: bytes, UsedBytes: used})
		}
	})
	return shares
}

// samples are the log's measurements.
func (n *Node) samples() []metrics.Sample {
	s := n.log.Stats()
	gauge := func(name, help string, v float64) metrics.Sample {
		return metrics.Sample{Name: name, Help: help, Value: v}
	}
	counter := func(name, help string, v float64) metrics.Sample {
		return metrics.Sample{Name: name, Help: help, Value: v, Counter: true}
	}
	return []metrics.Sample{
		gauge("crest_log_bytes", "Durable bytes in the log's segments.", float64(s.Bytes)),
		gauge("crest_log_segments", "Segments of the log.", float64(s.Segments)),
		gauge("crest_log_frames", "Durable frames in the log.", float64(s.Frames)),
		gauge("crest_log_pending_bytes", "Bytes that wait for the disk.", float64(s.PendingBytes)),
		counter("crest_log_groups_total", "Groups of frames made durable, each by one sync.", float64(s.Groups)),
		counter("crest_log_appended_bytes_total", "Bytes made durable.", float64(s.AppendedBytes)),
		counter("crest_log_sync_seconds_total", "Time spent in syncs.", s.SyncTime.Seconds()),
		counter("crest_log_loads_total", "Chunks of the log read back from its files.", float64(s.Loads)),
	}
}
