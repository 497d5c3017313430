//go:build e2e

package sim

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// startTimeout bounds the start of a node, replay included, and its stop.
const startTimeout = 2 * time.Minute

// server is a node that comes and goes on one data folder. One goroutine
// starts and stops it; senders use it all the while.
type server struct {
	t     *testing.T
	bin   string // the program, or what is started as it would be
	data  string
	flags []string
	node  *bench.Node
	// client speaks to the node that runs now; nil while there is none.
	client atomic.Pointer[client.Client]
}

// newServer is not started yet. Whatever runs at the end of the test is killed.
func newServer(t *testing.T, flags ...string) *server {
	s := &server{t: t, bin: binary, data: t.TempDir(), flags: append([]string{"--log-level", "warn"}, flags...)}
	t.Cleanup(func() {
		if s.node != nil {
			s.kill()
		}
	})
	return s
}

// launch starts the node without waiting for it.
func (s *server) launch() {
	s.t.Helper()
	node, err := bench.Start(s.bin, s.data, s.flags...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.node = node
}

// start starts the node and waits until it answers.
func (s *server) start(ctx context.Context) {
	s.t.Helper()
	s.launch()
	s.await(ctx)
}

// await waits for a launched node.
func (s *server) await(ctx context.Context) {
	s.t.Helper()
	if err := s.ready(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// tryStart starts a node that may end before it answers, which ready tells.
func (s *server) tryStart(ctx context.Context) (node *bench.Node, ready bool) {
	s.t.Helper()
	s.launch()
	err := s.ready(ctx)
	if err != nil && ctx.Err() != nil {
		s.t.Fatal(err)
	}
	return s.node, err == nil
}

// ready waits for a launched node, and fails if it ends before.
func (s *server) ready(ctx context.Context) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	addr, err := s.node.Ready(ctx)
	if err != nil {
		return err
	}
	c, err := client.New(addr, client.WithConnections(64), client.WithTimeout(30*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	s.client.Store(c)
	return nil
}

// kill is kill -9.
func (s *server) kill() {
	s.forget()
	s.node.Kill()
	s.node = nil
}

// stop is SIGTERM; the node has to drain and exit with 0.
func (s *server) stop(ctx context.Context) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	code, err := s.node.Stop(ctx)
	if err != nil || code != 0 {
		s.t.Fatalf("SIGTERM: exit code %d, %v\n%s", code, err, s.node.Log())
	}
	s.forget()
	s.node = nil
}

func (s *server) forget() {
	if c := s.client.Swap(nil); c != nil {
		c.Close()
	}
}

// send sends a batch until it is acknowledged, as a client does that must not
// lose anything: again after every broken connection, and after every answer
// that says it may be sent again. It fails only with ctx, or if the node
// refuses for good.
func (s *server) send(ctx context.Context, b *batch) (*api.Ingested, error) {
	for {
		if c := s.client.Load(); c != nil {
			answer, err := c.Ingest(ctx, b.events())
			if err == nil {
				return answer, nil
			}
			if final(err) {
				return nil, err
			}
		}
		if !pause(ctx, 5*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

// final tells whether an error says that sending again is of no use.
func final(err error) bool {
	var said *client.Error
	return errors.As(err, &said) && said.Status != http.StatusTooManyRequests && said.Status != http.StatusServiceUnavailable
}
