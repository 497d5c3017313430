package eventlog

import (
	"sync/atomic"
	"time"
)

// Stats is the log as its operator sees it. Counters count from Open.
type Stats struct {
	Segments int
	Bytes    int64  // durable bytes in all segments
	Frames   uint64 // durable frames in all segments

	Groups        uint64        // groups made durable, each by one sync
	AppendedBytes int64         // in those groups
	SyncTime      time.Duration // spent in those syncs
	PendingBytes  int64         // of frames that wait for the disk

	TailBytes   int64  // memory that holds the newest frames for readers
	CacheBytes  int64  // memory that holds frames read back from the files
	Loads       uint64 // chunks read back
	LoadedBytes int64
}

type counters struct {
	groups, appended, syncNanos, pending atomic.Int64
	loads, loadedBytes                   atomic.Int64
}

func (c *counters) synced(took time.Duration, bytes int64) {
	c.groups.Add(1)
	c.appended.Add(bytes)
	c.syncNanos.Add(int64(took))
}

// Stats is the state of the log now.
func (l *Log) Stats() Stats {
	s := Stats{
		Groups:        uint64(l.stats.groups.Load()),
		AppendedBytes: l.stats.appended.Load(),
		SyncTime:      time.Duration(l.stats.syncNanos.Load()),
		PendingBytes:  l.stats.pending.Load(),
		Loads:         uint64(l.stats.loads.Load()),
		LoadedBytes:   l.stats.loadedBytes.Load(),
	}
	v := l.view
	v.mu.Lock()
	defer v.mu.Unlock()
	s.Segments, s.Frames, s.TailBytes, s.CacheBytes = len(v.segments), v.frames, v.tailHeld, v.cache.held
	for _, g := range v.segments {
		s.Bytes += g.size
	}
	return s
}
