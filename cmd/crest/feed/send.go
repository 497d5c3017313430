package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// Ingester takes one request's events.
type Ingester interface {
	Ingest(context.Context, *client.Events) (*api.Ingested, error)
}

// Source yields blocks with ascending numbers, io.EOF behind the last one. It
// is called by one goroutine.
type Source interface {
	Next(context.Context) (*Block, error)
}

// Policy says what happens to a block whose answer never came and whose key
// the node may have forgotten.
type Policy string

// The policies.
const (
	Stop   Policy = "stop"   // with an *UnresolvedError
	Resend Policy = "resend" // send it again; its events may count twice
	Skip   Policy = "skip"   // take it as counted; its events may be missing
)

// Config is how to send.
type Config struct {
	ContentType string
	Parallel    int // requests in flight; default 4

	// DedupWindow is how long the node remembers keys; default 10 min. 0: it does
	// not.
	DedupWindow time.Duration
	Unresolved  Policy // default Stop

	// Patience is how long to try again without any block being acknowledged;
	// default 2 min.
	Patience time.Duration
	// Grace is how long requests in flight may take once ctx has ended; default
	// 10 s.
	Grace time.Duration

	// The following are called by several goroutines, but one at a time.

	// Rejected is told of every rejected event.
	Rejected func(Rejection) error
	// Sent is told of every acknowledged block; before: by an earlier run.
	Sent func(b *Block, before bool)
	// Waiting is told when a block has to be tried again, and why.
	Waiting func(reason string)
}

// DefaultConfig sends NDJSON and tells nobody.
func DefaultConfig() Config {
	return Config{
		ContentType: client.NDJSON,
		Parallel:    4,
		DedupWindow: 10 * time.Minute,
		Unresolved:  Stop,
		Patience:    2 * time.Minute,
		Grace:       10 * time.Second,
		Rejected:    func(Rejection) error { return nil },
		Sent:        func(*Block, bool) {},
		Waiting:     func(string) {},
	}
}

// Totals is what a Send has done.
type Totals struct {
	Blocks   int   // acknowledged now
	Events   int64 // in them
	Rejected int64 // of them
	Skipped  int   // blocks, by Policy

	// What was acknowledged before, as the progress file has it.
	ResumedEvents, ResumedRejected int64
}

// UnresolvedError is a block of which nobody knows whether it is counted.
type UnresolvedError struct {
	Block       int
	First, Last int64 // lines
	Since       time.Time
	Key         string
	Window      time.Duration
}

func (e *UnresolvedError) Error() string {
	if e.Window == 0 {
		return fmt.Sprintf("the block of lines %d to %d was sent at %s and its answer never came, so sending it again now could count it twice",
			e.First, e.Last, e.Since.Local().Format(time.DateTime))
	}
	return fmt.Sprintf("the block of lines %d to %d was sent at %s and its answer never came; the node remembers keys for %v, so sending it again now could count it twice",
		e.First, e.Last, e.Since.Local().Format(time.DateTime), e.Window)
}

// Send sends every block of the source that progress does not know as
// acknowledged, and returns when all are, when one cannot be, or when ctx has
// ended and the requests in flight are answered.
func Send(ctx context.Context, to Ingester, src Source, progress *Progress, cfg Config) (Totals, error) {
	s := &sender{to: to, progress: progress, cfg: cfg, lastAnswer: time.Now()}
	s.totals.ResumedEvents, s.totals.ResumedRejected = progress.state.Events, progress.state.Rejected
	g, running := errgroup.WithContext(ctx)

	// Requests outlive ctx by Grace, so that an interruption leaves as little
	// unresolved as can be.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(running, func() {
		t := time.AfterFunc(cfg.Grace, cut)
		context.AfterFunc(requests, func() { t.Stop() })
	})
	defer stop()

	// Unbuffered: a block waits in the source until a worker is free.
	blocks := make(chan *Block)
	g.Go(func() error {
		defer close(blocks)
		return s.read(running, src, blocks)
	})
	for range max(1, cfg.Parallel) {
		g.Go(func() error {
			for b := range blocks {
				if err := s.deliver(running, requests, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	if err == nil {
		err = progress.completed()
	} else {
		err = errors.Join(err, progress.Save())
	}
	return s.totals, err
}

type sender struct {
	to       Ingester
	progress *Progress
	cfg      Config

	mu         sync.Mutex // also orders the calls of cfg's functions
	totals     Totals
	lastAnswer time.Time // that acknowledged a block
}

// read hands out the blocks that are still to be sent.
func (s *sender) read(ctx context.Context, src Source, blocks chan<- *Block) error {
	for {
		b, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.progress.acknowledged(b.Number) {
			s.mu.Lock()
			s.cfg.Sent(b, true)
			s.mu.Unlock()
			continue
		}
		select {
		case blocks <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
