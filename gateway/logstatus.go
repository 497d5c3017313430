package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// LogStatus is how a log outside of the node is, for its operator.
type LogStatus struct {
	Kind    string // kafka
	Brokers string // HOST:PORT,…
	Topic   string
	// Error is why the log cannot be reached now, Warning what threatens to go
	// wrong; "": nothing.
	Error, Warning string
	// Strays is how many events were not where producers are said to put them.
	Strays uint64
	// DeadLetters is how many events were put aside since the node started.
	DeadLetters uint64
	// Partitions say what the log has, in order.
	Partitions []LogPartition
}

// LogPartition is what the log has of a partition: offsets from Begin up to, and
// without, End, as last heard. While it is Unread nobody knows what there is by now.
type LogPartition struct {
	Begin, End messages.Offset
	Unread     bool
}

// logStatus is nil for a log inside of the node.
func (s *Server) logStatus() *LogStatus {
	if s.cfg.Node.LogStatus == nil {
		return nil
	}
	l := s.cfg.Node.LogStatus()
	return &l
}

// answer is the status as it is told; nil stays nil.
func (l *LogStatus) answer() *api.Log {
	if l == nil {
		return nil
	}
	return &api.Log{Kind: l.Kind, Brokers: l.Brokers, Topic: l.Topic, Error: l.Error, Warning: l.Warning, DeadLetters: l.DeadLetters}
}

// partition is what the log says of partition i, if it does.
func (l *LogStatus) partition(i int) (p LogPartition, ok bool) {
	if l == nil || i >= len(l.Partitions) {
		return LogPartition{}, false
	}
	return l.Partitions[i], true
}

// headroom says how far the log's retention is from what is counted up to
// applied: 0 when it is there, so that the next entry it removes is lost, and 1
// when everything is counted.
func (p LogPartition) headroom(applied messages.Offset) float64 {
	switch {
	case applied >= p.End:
		return 1
	case applied <= p.Begin:
		return 0
	}
	return float64(applied-p.Begin) / float64(p.End-p.Begin)
}

// partitionStatus is the status of partition i as it is told.
func (s *Server) partitionStatus(i int, p *messages.PartitionStatus, l *LogStatus) api.PartitionStatus {
	a := api.NewPartitionStatus(i, p)
	a.LagSec = s.lagSeconds(i, p, l)
	if part, ok := l.partition(i); ok {
		begin, room := uint64(part.Begin), part.headroom(p.AppliedOffset)
		a.LogBegin, a.Headroom = &begin, &room
	}
	return a
}

// lagSeconds is how long before now that came which is counted of partition i,
// where something in the log is not; nil if that is not known.
func (s *Server) lagSeconds(i int, p *messages.PartitionStatus, l *LogStatus) *float64 {
	sec := 0.0
	part, _ := l.partition(i)
	switch {
	case part.Unread:
		return nil
	case api.Lag(p.Ledger) == 0:
	case p.Arrival == 0:
		return nil
	default:
		sec = max(0, float64(s.cfg.Now()-p.Arrival)/float64(messages.Second))
	}
	return &sec
}

// lag is what all partitions together have not counted, and how far the one that
// is furthest behind is. Of a log that cannot be read that is not known.
func (s *Server) lag(e *messages.EngineStatus, l *LogStatus) (records uint64, seconds *float64) {
	for i := range e.Partitions {
		p := &e.Partitions[i]
		records += api.Lag(p.Ledger)
		if sec := s.lagSeconds(i, p, l); sec != nil && (seconds == nil || *sec > *seconds) {
			seconds = sec
		}
	}
	if !l.readable() {
		return records, nil
	}
	return records, seconds
}

// readable tells whether all partitions can be read.
func (l *LogStatus) readable() bool {
	return l == nil || !slices.ContainsFunc(l.Partitions, func(p LogPartition) bool { return p.Unread })
}

// behind names the partitions that lag, as far as the engine says so at once.
func (s *Server) behind(ctx context.Context) []api.Behind {
	out := []api.Behind{}
	e, l := s.glance(ctx), s.logStatus()
	if e == nil {
		return out
	}
	for i := range e.Partitions {
		if p := &e.Partitions[i]; api.Lag(p.Ledger) > 0 {
			out = append(out, api.Behind{Partition: i, LagRecords: api.Lag(p.Ledger), LagSec: s.lagSeconds(i, p, l)})
		}
	}
	return out
}

// logWarnings say what of the log does not work, or soon will not. e is nil if the
// engine did not answer; said: why the log takes nothing is told elsewhere.
func (s *Server) logWarnings(l *LogStatus, e *messages.EngineStatus, said bool) []string {
	if l == nil {
		return nil
	}
	var out []string
	if l.Error != "" && !said {
		out = append(out, "the log cannot be reached: "+l.Error)
	}
	if l.Warning != "" {
		out = append(out, l.Warning)
	}
	if low := s.lowHeadroom(l, e); len(low) > 0 {
		out = append(out, fmt.Sprintf("the log is about to remove what is not counted yet, in partitions %s; what it removes before is lost. Give the topic a longer retention, or the node more room to catch up", strings.Join(low, ", ")))
	}
	return out
}

const (
	// lowHeadroom is below what a partition is warned of, if it lags by lowFrom
	// seconds: in a log that is hardly older than that everything is near its
	// begin. Of one that begins at 0 retention has removed nothing yet.
	lowHeadroom = 0.25
	lowFrom     = 60
)

// lowHeadroom are the partitions whose entries are about to be lost; what is lost
// already is told elsewhere.
func (s *Server) lowHeadroom(l *LogStatus, e *messages.EngineStatus) []string {
	var low []string
	for i := range l.Partitions {
		if e == nil || i >= len(e.Partitions) {
			break
		}
		p := &e.Partitions[i]
		sec, part := s.lagSeconds(i, p, l), l.Partitions[i]
		if p.AppliedOffset >= part.Begin && (sec == nil || *sec >= lowFrom) && part.Begin > 0 && part.headroom(p.AppliedOffset) < lowHeadroom {
			low = append(low, strconv.Itoa(i))
		}
	}
	return low
}
