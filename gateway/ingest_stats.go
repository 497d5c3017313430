package gateway

import (
	"net/http"
	"sync/atomic"
)

// IngestStats counts what ingest did since the node started.
type IngestStats struct {
	// Events: durable (with ack=none: once they are), rejected, and answered
	// with ack=none but lost.
	Accepted, Rejected, Lost uint64
	// Requests by outcome: answered with their events, at fault (4xx), told to
	// come again (429), and not possible now (5xx).
	Taken, Faulty, Refused, Unavailable uint64
	// Repeats are requests answered from their Idempotency-Key; also in Taken.
	Repeats uint64
	// BytesIn is the size of the bodies, decoded.
	BytesIn uint64
	// InFlight is the memory that requests hold now, in bytes.
	InFlight int64
}

type ingestCounters struct {
	accepted, rejected, lost            atomic.Uint64
	taken, faulty, refused, unavailable atomic.Uint64
	repeats, bytesIn                    atomic.Uint64
}

// request counts a request by its answer.
func (c *ingestCounters) request(err error) {
	switch status := statusOf(err); {
	case err == nil:
		c.taken.Add(1)
	case status == http.StatusTooManyRequests:
		c.refused.Add(1)
	case status >= 500:
		c.unavailable.Add(1)
	default:
		c.faulty.Add(1)
	}
}

func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return problemOf(err, 0).status
}

// Stats is a snapshot of the counters.
func (in *ingest) Stats() IngestStats {
	c := &in.stats
	return IngestStats{
		Accepted: c.accepted.Load(), Rejected: c.rejected.Load(), Lost: c.lost.Load(),
		Taken: c.taken.Load(), Faulty: c.faulty.Load(), Refused: c.refused.Load(), Unavailable: c.unavailable.Load(),
		Repeats: c.repeats.Load(), BytesIn: c.bytesIn.Load(), InFlight: in.budget.inFlight(),
	}
}
