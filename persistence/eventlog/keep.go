package eventlog

import (
	"fmt"
	"time"

	"github.com/crestdb/crest/messages"
)

const (
	keepEvery = time.Second
	// measureBytes: free space is looked at again when so much was written
	// since, however fast that was.
	measureBytes = 64 << 20
)

// keep does once a second what need not be done per group: it makes the mark
// durable, which so lags at most this much, and looks at the free space.
func (l *Log) keep() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := l.marks.sync(); err != nil {
				_ = l.fail(err)
			}
			l.measureSpace()
		case <-l.closing:
			return
		}
	}
}

// measure counts written bytes towards the next look at the free space.
func (l *Log) measure(n int64) {
	l.unmeasured += n
	if l.unmeasured >= measureBytes {
		l.unmeasured = 0
		l.measureSpace()
	}
}

// measureSpace stops the taking of frames below the floor of free space, and
// resumes it above. Not knowing is not a reason to stop.
func (l *Log) measureSpace() {
	if l.cfg.MinFree == 0 {
		return
	}
	free, err := l.cfg.FreeSpace(l.cfg.Dir)
	if err != nil {
		l.cfg.Logger.Warn("free space is not known", "dir", l.cfg.Dir, "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch low := free < l.cfg.MinFree; {
	case low:
		if l.lowSpace == nil {
			l.cfg.Logger.Error("no events are taken: free space below the floor", "dir", l.cfg.Dir, "free", free, "floor", l.cfg.MinFree)
		}
		l.lowSpace = fmt.Errorf("%w: free space %d MiB is below the floor of %d MiB", messages.ErrStopped, free>>20, l.cfg.MinFree>>20)
	case l.lowSpace != nil:
		l.cfg.Logger.Info("events are taken again: there is free space", "dir", l.cfg.Dir, "free", free, "floor", l.cfg.MinFree)
		l.lowSpace = nil
	}
}
