package kafka

import (
	"sync/atomic"

	"github.com/crestdb/crest/messages"
)

// brokerTime is the largest arrival that a broker has stamped, of what was read.
type brokerTime struct{ millis atomic.Int64 }

func (b *brokerTime) heard(h *batchHead) {
	if !h.appendTime {
		return // what a producer says moves nobody's clock
	}
	for {
		was := b.millis.Load()
		if h.maxTime <= was || b.millis.CompareAndSwap(was, h.maxTime) {
			return
		}
	}
}

// BrokerTime is the largest arrival read so far that a broker has stamped; 0 if
// none was. A node whose clock is behind it would count what has come as if it
// was yet to come.
func (l *Log) BrokerTime() messages.Micros {
	return messages.Micros(l.reading.brokers.millis.Load()) * messages.Millisecond
}
