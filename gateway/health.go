package gateway

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// health answers GET /api/v1/health. It hardly waits for the engine: a node in
// trouble has to be able to say so.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	now := time.Now()
	status, reason, ofLog := s.condition()
	e, log := s.glance(r.Context()), s.logStatus()
	h := &api.Health{
		Status:           status,
		Reason:           reason,
		Warning:          s.warning(log, e, ofLog),
		UptimeSec:        now.Sub(s.cfg.Node.Started).Seconds(),
		EngineTime:       api.MomentOrNull(s.engine.EngineTime()),
		IngestionRateEPS: s.events.PerSecond(now),
		QueryRateQPS:     s.queries.PerSecond(now),
		Node:             s.cfg.Node.Name,
		Role:             s.cfg.Node.Role,
		Version:          s.cfg.Node.Version,
	}
	if e != nil {
		var lag uint64
		lag, h.LagSec = s.lag(e, log)
		h.LagRecords = &lag
	}
	return answer(w, h)
}

// warning is what does not work though the node does, or soon will not; "" if all
// does. e is nil if the engine did not answer; said: why the log takes nothing is
// told elsewhere.
func (s *Server) warning(l *LogStatus, e *messages.EngineStatus, said bool) string {
	warnings := s.logWarnings(l, e, said)
	if e != nil && e.Snapshots.LastError != "" {
		warnings = append(warnings, snapshotWarning(&e.Snapshots))
	}
	return strings.Join(warnings, "; ")
}

// condition is the node's state in a word, and why if it is not ok; ofLog: because
// the log takes nothing.
func (s *Server) condition() (status, reason string, ofLog bool) {
	switch err := s.engine.Ready(); {
	case errors.Is(err, messages.ErrNotReady):
		return "starting", err.Error(), false
	case err != nil:
		return "degraded", err.Error(), false
	}
	if s.draining.Load() {
		return "stopping", "the node is shutting down", false
	}
	if s.cfg.Node.Log != nil {
		if err := s.cfg.Node.Log(); err != nil {
			return "degraded", err.Error(), true
		}
	}
	return "ok", "", false
}

// livez answers GET /livez: the process answers at all.
func (s *Server) livez(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	return answer(w, &api.State{Status: "ok"})
}

// readyz answers GET /readyz: whether requests should be sent here. A log that
// takes no events does not make the node unready: it still answers questions.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	if err := s.engine.Ready(); errors.Is(err, messages.ErrNotReady) {
		no := problemOf(err, s.cfg.QueryTimeout)
		no.extra["behind"] = s.behind(r.Context())
		return no
	} else if err != nil {
		return err
	}
	if s.draining.Load() {
		return later(http.StatusServiceUnavailable, "Shutting down", "The node is shutting down; send requests to another one, or here again later.", retryAfter)
	}
	return answer(w, &api.State{Status: "ready"})
}

// ledger answers GET /api/v1/ledger.
func (s *Server) ledger(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	partitions, err := s.engine.Ledger(ctx)
	if err != nil {
		return err
	}
	return answer(w, api.NewLedger(partitions))
}

// status answers GET /api/v1/status.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	e, err := s.engine.Status(ctx)
	if err != nil {
		return err
	}
	_, reason, _ := s.condition()
	node, log := &s.cfg.Node, s.logStatus()
	a := &api.Status{
		Node:       node.Name,
		Role:       node.Role,
		Version:    node.Version,
		Started:    node.Started.UTC(),
		UptimeSec:  time.Since(node.Started).Seconds(),
		EngineTime: api.MomentOrNull(e.EngineTime),
		Ready:      s.engine.Ready() == nil && !s.draining.Load(),
		Reason:     reason,
		Settings:   s.settings(e.Settings),
		Boards:     e.Boards,
		Log:        log.answer(),
		Memory:     api.NewMemory(e.Memory),
		Budget:     s.budget(),
		Error:      api.NewError(e.Epsilon == 0, e.SketchError),
		Snapshots:  api.NewSnapshotStatus(&e.Snapshots),
		Partitions: make([]api.PartitionStatus, len(e.Partitions)),
	}
	a.LagRecords, a.LagSec = s.lag(e, log)
	for i := range e.Partitions {
		a.Partitions[i] = s.partitionStatus(i, &e.Partitions[i], log)
	}
	return answer(w, a)
}

func (s *Server) settings(in messages.Settings) api.Settings {
	return api.Settings{
		Clock:         s.identity.Clock.String(),
		Partitions:    s.identity.Partitions,
		DedupWindow:   length(in.DedupWindow),
		MaxAhead:      length(in.MaxAhead),
		MaxCategories: in.MaxCategories,
		MaxRegions:    in.MaxRegions,
	}
}

func length(d time.Duration) string {
	return messages.FormatLength(messages.Micros(d / time.Microsecond))
}

// budget is how the memory is split: the node's shares, and the edge's own.
func (s *Server) budget() []api.Share {
	shares := []api.Share{
		{Part: "bodies", LimitBytes: s.cfg.MaxInFlight, UsedBytes: s.ingest.Stats().InFlight},
		{Part: "answers", LimitBytes: int64(s.cfg.AnswerBytes), UsedBytes: int64(s.boards.size())},
	}
	if s.cfg.Node.Budget != nil {
		shares = append(s.cfg.Node.Budget(), shares...)
	}
	return shares
}
