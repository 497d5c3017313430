package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/crestdb/crest/gateway/decode"
	"github.com/crestdb/crest/messages"
)

// Log takes frames. Append returns when the frame is durable, and sets pos to
// what is behind each of its blocks; the frame stays the caller's. An error
// means one of two things, unless ctx ended: the frame is certainly not in the
// log; or nobody knows, and then the log takes nothing any more until it has
// been opened again (messages.ErrStopped). So within one process no frame
// appended later can be a second copy of one whose append failed.
//
// Where blocks land one by one (Config.HomeFirst) an error says less: any of
// them may be in the log, or come to be, and the log may go on.
type Log interface {
	Append(ctx context.Context, f *messages.Frame, pos messages.Position) error
}

// Counter is the part of the engine that ingest needs.
type Counter interface {
	// Ready is nil once everything that was in the log at the start is applied;
	// messages.ErrNotReady before.
	Ready() error
	// Admit is nil if the engine has room for the frame's events; else a
	// *messages.RefusedError, or ErrNotReady, ErrStopped, ErrPartition. ids: they
	// come with event ids or a key.
	Admit(ctx context.Context, f *messages.Frame, ids bool) error
	// Seen is what the applied log knows of an Idempotency-Key.
	Seen(ctx context.Context, q *messages.KeyQuery) (messages.KeyVerdict, error)
	// Await returns nil once everything before pos is applied.
	Await(ctx context.Context, pos messages.Position) error
}

// ingestConfig is how events are taken.
type ingestConfig struct {
	Identity *messages.LogIdentity
	// Now is the node clock; it stamps frames.
	Now func() messages.Micros
	// LogState is nil while the log takes frames, else why not; may be nil.
	LogState func() error
	// MaxAhead is the log's setting in force.
	MaxAhead func() time.Duration
	// KeepUserIDs stores users as they came, not as keyed hashes.
	KeepUserIDs bool
	// HomeFirst: the log does not take frames whole. See Config.
	HomeFirst bool
	// MaxBody bounds one body, decoded, in bytes.
	MaxBody int
	// MaxInFlight bounds what requests in flight hold together, in bytes: see
	// budget. It must have room for the largest body as it arrives and as a
	// frame.
	MaxInFlight int64
	// MaxWait bounds how long a request waits for its bytes.
	MaxWait time.Duration
	// Counted is called once per request with its events; may be nil.
	Counted func(accepted, rejected int)
	Logger  *slog.Logger
}

const maxBodyLimit = 1 << 30 // of MaxBody

func (c *ingestConfig) validate() error {
	switch {
	case c.MaxBody < 1<<10 || c.MaxBody > maxBodyLimit:
		return fmt.Errorf("max-body %d: want 1 KiB to 1 GiB", c.MaxBody)
	case c.MaxInFlight < 4*int64(c.MaxBody):
		return fmt.Errorf("bytes in flight %d: want at least four times max-body (%d)", c.MaxInFlight, c.MaxBody)
	case c.MaxWait <= 0 || c.MaxWait > time.Minute:
		return fmt.Errorf("wait for bytes in flight %v: want above 0s, at most 1m", c.MaxWait)
	}
	return nil
}

// ingest takes events: POST /api/v1/events. A request is read, decoded,
// admitted by the engine, appended, and only then acknowledged.
type ingest struct {
	cfg      ingestConfig
	log      Log
	counter  Counter
	budget   *budget
	bodies   *bodyReader
	builders builderPool
	keys     *keyTable
	hashKey  [2]uint64
	stats    ingestCounters

	// appends is cancelled when the time to drain is over, settling once all
	// requests are gone.
	appends, settling       context.Context
	stopAppends, stopSettle context.CancelFunc

	mu      sync.Mutex
	closed  bool
	working sync.WaitGroup // requests and appends behind ack=none
	settles sync.WaitGroup // keys that wait to be applied
}

func newIngest(cfg ingestConfig, log Log, counter Counter) (*ingest, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	in := &ingest{cfg: cfg, log: log, counter: counter, keys: newKeyTable()}
	in.budget = newBudget(cfg.MaxInFlight, cfg.MaxWait)
	in.bodies = newBodyReader(cfg.MaxBody, in.budget)
	in.builders.config = decode.Config{
		Routes:      messages.NewRoutes(cfg.Identity),
		MaxAhead:    cfg.MaxAhead,
		KeepUserIDs: cfg.KeepUserIDs,
	}
	in.builders.config.UserKey[0], in.builders.config.UserKey[1] = cfg.Identity.Subkey("user")
	in.hashKey[0], in.hashKey[1] = bodyHashKey(cfg.Identity)
	in.appends, in.stopAppends = context.WithCancel(context.Background())
	in.settling, in.stopSettle = context.WithCancel(context.Background())
	return in, nil
}

// Close refuses new requests and waits for those in flight, appends behind
// ack=none included. When ctx ends it cuts off what still waits for the log.
// It returns when nothing is left running.
func (in *ingest) Close(ctx context.Context) {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	done := make(chan struct{})
	go func() { in.working.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		in.stopAppends()
		<-done
	}
	in.stopAppends()
	in.stopSettle() // there is nobody left to ask for the keys
	in.settles.Wait()
	in.bodies.close()
}

// enter counts a request in, unless ingest is closing.
func (in *ingest) enter() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.working.Add(1)
	}
	return !in.closed
}

// post takes the events of one request.
func (in *ingest) post(w http.ResponseWriter, r *http.Request) error {
	if !in.enter() {
		return later(http.StatusServiceUnavailable, "Shutting down", "The node is shutting down and takes no events. Send the request again, with the same ids, once it is back.", retryAfter)
	}
	defer in.working.Done()
	o, err := in.take(w, r)
	if err == nil {
		err = o.write(w)
	}
	in.stats.request(err)
	return err
}

// take is post up to the answer.
func (in *ingest) take(w http.ResponseWriter, r *http.Request) (*outcome, error) {
	req, err := readIngestRequest(w, r)
	if err == nil {
		// Before the body is read; and before Seen is asked, which knows only
		// what is applied. What a partition that has failed refuses is Admit's to say.
		if err = in.counter.Ready(); !errors.Is(err, messages.ErrNotReady) {
			err = nil
		}
	}
	if err == nil && in.cfg.LogState != nil {
		// An answer of ack=none would promise what cannot be kept.
		err = in.cfg.LogState()
	}
	if err != nil {
		return nil, err
	}
	body, err := in.bodies.read(r, req.encoding)
	defer body.release()
	if err != nil {
		return nil, err
	}
	in.stats.bytesIn.Add(uint64(len(body.data)))
	if req.media == mediaUnknown {
		req.media = sniff(body.data)
	}
	// It also ends when the time to drain is over.
	ctx := &bounded{Context: r.Context(), cutOff: in.appends}
	defer ctx.end()
	if req.key != "" {
		return in.takeKeyed(ctx, req, body)
	}
	p, err := in.prepare(ctx, req, body, in.cfg.Now())
	if err != nil {
		return nil, err
	}
	return in.commit(ctx, req, p, nil)
}
