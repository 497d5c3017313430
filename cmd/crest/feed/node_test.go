package feed_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// fakeNode counts topics once per key and rejects events with the word bad.
// before and after may break an attempt, before or after it counted.
type fakeNode struct {
	before, after func(attempt int) error

	mu       sync.Mutex
	attempts int
	keys     map[string]string // body by key
	order    []string          // topics in the order they were counted
	took     time.Duration     // how long an answer takes
}

func (n *fakeNode) Ingest(ctx context.Context, e *client.Events) (*api.Ingested, error) {
	if n.took > 0 {
		select {
		case <-time.After(n.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attempts++
	if n.before != nil {
		if err := n.before(n.attempts); err != nil {
			return nil, err
		}
	}
	accepted, errs := 0, []api.Rejection{}
	lines := strings.Split(strings.TrimSuffix(string(e.Body), "\n"), "\n")
	rejected := 0
	for i, line := range lines {
		switch {
		case !strings.Contains(line, "bad"):
			accepted++
		case len(errs) < 100:
			errs = append(errs, api.Rejection{Index: i, Reason: "bad word"})
			fallthrough
		default:
			rejected++
		}
	}
	if n.keys == nil {
		n.keys = map[string]string{}
	}
	if body, seen := n.keys[e.Key]; !seen {
		n.keys[e.Key] = string(e.Body)
		for _, line := range lines {
			if !strings.Contains(line, "bad") {
				n.order = append(n.order, line)
			}
		}
	} else if body != string(e.Body) {
		return nil, &client.Error{Status: http.StatusConflict, Title: "Conflict"}
	}
	if n.after != nil {
		if err := n.after(n.attempts); err != nil {
			return nil, err
		}
	}
	if accepted == 0 {
		return nil, &client.Error{Status: http.StatusUnprocessableEntity, Errors: errs}
	}
	return &api.Ingested{Status: "success", Accepted: &accepted, Rejected: &rejected, Errors: errs}, nil
}

var (
	errDial  = fmt.Errorf("ask: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
	errReset = fmt.Errorf("ask: %w", &net.OpError{Op: "read", Err: errors.New("connection reset")})
	errFull  = &client.Error{Status: http.StatusTooManyRequests, Title: "Too many", RetryAfter: time.Second}
	errDown  = &client.Error{Status: http.StatusServiceUnavailable, Title: "Stopped"}
)
