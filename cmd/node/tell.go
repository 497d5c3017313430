package node

import (
	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/metrics"
	"github.com/crestdb/crest/messages"
)

// gatewayConfig is how the edge behaves and what it tells about this node.
func (c *Core) gatewayConfig() gateway.Config {
	split := c.cfg.Split()
	g := gateway.DefaultConfig()
	g.Logger = c.cfg.Logger
	g.Now = c.clock.Now
	g.KeepUserIDs = c.cfg.KeepUserIDs
	g.MaxBody, g.MaxInFlight, g.AnswerBytes = int(c.cfg.maxBody()), split.Bodies, int(split.Answers)
	g.HomeFirst = c.kafka != nil
	if c.connections > 0 {
		g.MaxConnections = c.connections
	}
	g.Node = gateway.Node{
		Name:    c.cfg.Name,
		Role:    "single",
		Version: c.cfg.Version,
		Started: c.started,
		Log:     c.takes,
		Budget:  func() []api.Share { return c.budget() },
		Samples: c.samples,
	}
	if c.kafka != nil {
		g.Node.LogStatus = c.logStatus
	}
	return g
}

// budget is how the memory is split and what is used of it; the gateway adds
// what it holds itself (bodies and answers).
func (c *Core) budget() []api.Share {
	used := c.engine.MemoryUsed()
	in := map[string]int64{
		"engine": used.Engine(), "dedup": used.Dedup,
		"boards": c.engine.BoardMemory(),
	}
	if c.embedded != nil {
		stats := c.embedded.Stats()
		in["log_tail"], in["log_cache"], in["log_group"] = stats.TailBytes, stats.CacheBytes, stats.PendingBytes
	}
	var shares []api.Share
	c.cfg.Split().Each(func(part string, bytes int64) {
		if used, ok := in[part]; ok {
			shares = append(shares, api.Share{Part: part, LimitBytes: bytes, UsedBytes: used})
		}
	})
	return shares
}

func gauge(name, help string, v float64) metrics.Sample {
	return metrics.Sample{Name: name, Help: help, Value: v}
}

func counter(name, help string, v float64) metrics.Sample {
	return metrics.Sample{Name: name, Help: help, Value: v, Counter: true}
}

// samples are the measurements of the log, the disk and the clock.
func (c *Core) samples() []metrics.Sample {
	return append(c.logSamples(),
		gauge("crest_reserve_bytes", "Bytes of disk kept aside; 0 once they are given up because it is full.", float64(c.reserve.Held())),
		gauge("crest_ids_waiting", "Partitions whose event ids cannot be written; no events are taken while there are any.", float64(c.ids.waiting())),
		gauge("crest_clock_ahead_seconds", "How far the node clock is ahead of the wall clock.", float64(c.clock.Ahead())/float64(messages.Second)),
	)
}

// logSamples are those of the embedded log.
func (c *Core) logSamples() []metrics.Sample {
	if c.embedded == nil {
		return nil
	}
	s := c.embedded.Stats()
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
