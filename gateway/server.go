package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/gateway/metrics"
	"github.com/crestdb/crest/messages"
)

// Server is the HTTP edge of one node.
type Server struct {
	cfg      Config
	identity *messages.LogIdentity
	engine   Engine
	log      *slog.Logger
	router   *router
	asked    boardRequests
	boards   *boardCache
	ingest   *ingest

	metrics *metrics.Metrics
	events  metrics.Rate // accepted
	queries metrics.Rate // questions

	draining atomic.Bool
	gate     *gate
}

// New makes the edge of a node; identity is that of its log. Run or Close ends
// it.
func New(cfg Config, identity *messages.LogIdentity, log Log, engine Engine) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, identity: identity, engine: engine, log: cfg.Logger, gate: newGate(), boards: newBoardCache(cfg.AnswerBytes)}
	var err error
	if s.ingest, err = newIngest(s.ingestConfig(), log, engine); err != nil {
		return nil, err
	}
	s.metrics = metrics.New(s.samples)
	s.router = newRouter(s.routes())
	return s, nil
}

func (s *Server) ingestConfig() ingestConfig {
	return ingestConfig{
		Identity:    s.identity,
		Now:         s.cfg.Now,
		LogState:    s.cfg.Node.Log,
		MaxAhead:    func() time.Duration { return s.engine.Settings().MaxAhead },
		KeepUserIDs: s.cfg.KeepUserIDs,
		HomeFirst:   s.cfg.HomeFirst,
		MaxBody:     s.cfg.MaxBody,
		MaxInFlight: s.cfg.MaxInFlight,
		MaxWait:     s.cfg.MaxWait,
		Counted:     func(accepted, _ int) { s.events.Add(time.Now(), accepted) },
		Logger:      s.log,
	}
}

// routes is all that is served; openapi.yaml describes the same.
func (s *Server) routes() []route {
	return []route{
		{pattern: "/", get: s.page},
		{pattern: "/openapi.yaml", get: s.openAPI},

		{pattern: "/api/v1/events", post: s.ingest.post},
		{pattern: "/api/v1/event", post: s.ingest.post},
		{pattern: "/event", post: s.ingest.post},

		{pattern: "/api/v1/trending", get: s.trending, query: true},
		{pattern: "/trending", get: s.trending, query: true},
		{pattern: "/api/trending", get: s.videoTrending, query: true},
		{pattern: "/api/v1/trending/history", get: s.trendingHistory, query: true},
		{pattern: topicsPrefix + "{topic}/count", get: s.count, query: true},
		{pattern: topicsPrefix + "{topic}/history", get: s.history, query: true},
		{pattern: topicsPrefix + "{topic}/rank", get: s.rank, query: true},
		{pattern: "/api/v1/count", get: s.count, query: true},
		{pattern: "/api/v1/history", get: s.history, query: true},
		{pattern: "/api/v1/rank", get: s.rank, query: true},
		{pattern: "/api/v1/counts", post: s.counts, query: true},
		{pattern: "/api/v1/cells", get: s.cells, query: true},
		{pattern: "/api/v1/topics", get: s.topics, query: true},

		{pattern: "/livez", get: s.livez},
		{pattern: "/readyz", get: s.readyz},
		{pattern: "/metrics", get: s.prometheus},
		{pattern: "/api/v1/health", get: s.health},
		{pattern: "/api/v1/metrics", get: s.metricsJSON},
		{pattern: "/api/v1/ledger", get: s.ledger},
		{pattern: "/api/v1/status", get: s.status},
		{pattern: "/api/v1/admin/snapshot", post: s.snapshot},
	}
}

// Handler is the edge as a handler, for servers other than Run's; whoever uses
// it calls Close.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Close takes no more requests and waits for those in flight; when ctx ends,
// what still waits for the log is cut off. Run does it by itself.
func (s *Server) Close(ctx context.Context) {
	s.draining.Store(true)
	s.ingest.Close(ctx)
	s.gate.close()
}

// Run serves until ctx ends. Then it accepts nothing new, lets requests in
// flight finish within DrainTimeout, cuts off the rest, and returns when the
// last of them is gone: nil after a stop, else why serving failed. It closes
// ln. It runs once.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	// Cancelled when the time to drain is over: what still waits then gives up.
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	srv := &http.Server{
		Handler:                      s.Handler(),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            s.cfg.HeaderTimeout,
		ReadTimeout:                  s.cfg.ReadTimeout,
		WriteTimeout:                 s.cfg.WriteTimeout,
		IdleTimeout:                  s.cfg.IdleTimeout,
		MaxHeaderBytes:               s.cfg.MaxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ConnContext:                  withJoin,
	}
	fresh := newUnused()
	srv.ConnState = fresh.state
	served := make(chan error, 1)
	go func() { served <- srv.Serve(limitConnections(ln, s.cfg.MaxConnections)) }()

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve http on %s: %w", ln.Addr(), err)
		served <- nil
	case <-ctx.Done():
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	fresh.close()
	if srv.Shutdown(drain) != nil && drain.Err() != nil {
		s.log.Warn("requests are cut off at the stop", "after", s.cfg.DrainTimeout)
		_ = srv.Close() // their connections
		cutOff()
	}
	<-served
	s.Close(drain)
	return err
}

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, conn: joinConnOf(r)}
	if !s.gate.enter() {
		s.fail(rec, r, context.Canceled)
		return
	}
	defer s.gate.leave()
	started := time.Now()
	w.Header()["X-Content-Type-Options"] = noSniffHeader

	found, err := s.router.find(r)
	pattern, method := "unknown", "other"
	if found != nil {
		pattern = found.pattern
		if h := found.handlerFor(r.Method); h != nil {
			method = r.Method
			err = s.call(h, found, rec, r)
		} else {
			err = methodNotAllowed(rec, r, found)
		}
	}
	if err != nil {
		s.fail(rec, r, err)
	}
	s.metrics.Request(pattern, method, rec.status, time.Since(started))
}

// call answers by a handler. While the log is replayed nothing is asked: the
// answers would lack events that were acknowledged, and not say so.
func (s *Server) call(h handler, found *route, w http.ResponseWriter, r *http.Request) error {
	if found.query {
		if err := s.engine.Ready(); errors.Is(err, messages.ErrNotReady) {
			return err
		}
		s.queries.Add(time.Now(), 1)
	}
	return h(w, r)
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, found *route) error {
	allow := found.allowed()
	w.Header().Set("Allow", allow)
	return &refusal{
		status: http.StatusMethodNotAllowed,
		title:  "Method not allowed",
		detail: fmt.Sprintf("%s is not served here; this address takes %s.", quote(r.Method), allow),
	}
}

// recorder remembers the status for the request's measurement.
type recorder struct {
	http.ResponseWriter
	conn   *joinConn // nil: not one of Run's
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.conn != nil && len(b) >= joinFrom && len(b) <= joinMost {
		return r.conn.write(r.ResponseWriter, b)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
