package kafka

import (
	"sync/atomic"

	"github.com/crestdb/crest/messages"
)

// strays counts events of others that are not in the partition of their topic,
// where all producers are said to put them there (Config.Keyed): nobody looks for
// them where they are, so counts and boards are too low.
type strays struct {
	count atomic.Uint64
	told  atomic.Bool
}

// Strays is how many events that others wrote are outside of the partition of
// their topic, since the start; always 0 unless Config.Keyed.
func (l *Log) Strays() uint64 { return l.reading.strays.count.Load() }

// stray looks at the events of one record, as they were decoded.
func (c *cursor) stray(r *record, events []byte) {
	n := uint64(0)
	for len(events) > 0 {
		rest, err := c.check.ReadFrom(events)
		if err != nil {
			break // the decoder's mistake, which counting says
		}
		if events = rest; c.log.reading.routes.Of(c.check.Topic) != c.partition {
			n++
		}
	}
	if n == 0 {
		return
	}
	s := &c.log.reading.strays
	s.count.Add(n)
	if !s.told.Swap(true) {
		c.log.cfg.Logger.Error("kafka: an event is not in the partition of its topic, though --kafka-keyed says that all are: counts and boards are wrong. Leave --kafka-keyed out, or have all producers key by topic (murmur2)",
			"topic", c.log.cfg.Topic, "partition", c.partition, "offset", messages.Offset(r.offset))
	}
}
