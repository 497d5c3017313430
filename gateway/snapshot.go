package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// snapshot answers POST /api/v1/admin/snapshot, when what is in the log by now
// is in snapshots. A client that goes away ends it; the snapshots that are
// durable by then stay.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.SnapshotTimeout)
	defer cancel()
	taken, err := s.engine.Snapshot(ctx)
	if err != nil {
		return s.snapshotRefusal(r, ctx, taken, err)
	}
	return answer(w, &api.SnapshotsTaken{Snapshots: api.NewSnapshots(taken)})
}

// snapshotRefusal is the answer to a request whose snapshots were not all taken.
// Nothing is lost by that: the log is kept until there are some. bounded is the
// context they had.
func (s *Server) snapshotRefusal(r *http.Request, bounded context.Context, taken []messages.Snapshot, err error) error {
	var no *refusal
	switch {
	case errors.Is(err, messages.ErrNotReady), r.Context().Err() != nil:
		return err
	case bounded.Err() != nil:
		no = later(http.StatusServiceUnavailable, "Timed out", fmt.Sprintf(
			"The snapshots were not taken within %v; they go on by themselves, and GET /api/v1/status says how far they are.", s.cfg.SnapshotTimeout), retryAfter)
	case errors.Is(err, messages.ErrFenced):
		no = later(http.StatusServiceUnavailable, "Another owner", sentence(err.Error())+
			" Another node has taken the partition over, or a snapshot of it was restored; restart this node if it is the one that should have it.", 10*time.Second)
	case errors.Is(err, messages.ErrPartition), errors.Is(err, messages.ErrBehind):
		no = problemOf(err, s.cfg.QueryTimeout)
	default:
		s.log.Error("snapshots that were asked for failed", "error", err)
		no = later(http.StatusServiceUnavailable, "Snapshot failed", sentence(err.Error())+
			" Nothing is lost: the log is kept until a snapshot succeeds. See to the cause: mostly the store of snapshots, or the topic of dead letters.", 10*time.Second)
	}
	no.extra["snapshots"] = api.NewSnapshots(taken)
	return no
}

// glanceWait is how long health and readyz wait for the engine's word.
const glanceWait = 100 * time.Millisecond

// glance is the engine's status if it has one at once; else nil: an engine that
// does not answer has other troubles, which health tells of.
func (s *Server) glance(ctx context.Context) *messages.EngineStatus {
	ctx, cancel := context.WithTimeout(ctx, glanceWait)
	defer cancel()
	e, err := s.engine.Status(ctx)
	if err != nil {
		return nil
	}
	return e
}

func snapshotWarning(s *messages.SnapshotStatus) string {
	return fmt.Sprintf("snapshots fail: %s; the log is kept until one succeeds, and %d entries would be replayed after a restart", s.LastError, s.Uncovered)
}
