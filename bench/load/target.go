package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/client"
)

// target is the node that is measured, and what was sent to it.
type target struct {
	client *client.Client
	node   *bench.Node // nil if it ran before
	data   string
	// connections are those of all workers; they belong to one goroutine, which
	// makes them before the workers begin and closes them after their end.
	connections []*connection

	sent    atomic.Int64 // events acknowledged
	refused atomic.Int64 // requests answered 429, which were sent again
}

// open starts a node, or takes the one that is named.
func open(ctx context.Context, c *config) (*target, error) {
	t := &target{}
	addr := c.addr
	if addr == "" {
		data, err := os.MkdirTemp("", "crest-load")
		if err != nil {
			return nil, err
		}
		t.data = data
		flags := append([]string{"--log-level", "warn"}, strings.Fields(c.flags)...)
		if t.node, err = bench.Start(c.bin, data, flags...); err != nil {
			return nil, errors.Join(err, t.close())
		}
		ready, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if addr, err = t.node.Ready(ready); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	var err error
	if t.client, err = client.New(addr, client.WithConnections(c.clients+4*c.connections+64), client.WithTimeout(time.Minute)); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// connect is a new connection for one worker. It is closed with t.
func (t *target) connect() *connection {
	c := &connection{host: strings.TrimPrefix(t.client.Addr(), "http://")}
	t.connections = append(t.connections, c)
	return c
}

func (t *target) close() error {
	for _, c := range t.connections {
		c.close()
	}
	if t.client != nil {
		t.client.Close()
	}
	if t.node != nil {
		t.node.Kill()
	}
	if t.data == "" {
		return nil
	}
	return os.RemoveAll(t.data)
}

// post sends events until they are acknowledged. A refusal for lack of room is
// part of the service: the events wait, as the node asked.
func (t *target) post(ctx context.Context, c *connection, contentType string, body []byte, events int) error {
	for {
		r, err := c.post(ctx, "/api/v1/events", contentType, body)
		if err != nil {
			return err
		}
		switch r.status {
		case http.StatusOK:
			t.sent.Add(int64(events))
			return nil
		case http.StatusTooManyRequests:
		default:
			return fmt.Errorf("events were answered %d: %s", r.status, r.problem)
		}
		t.refused.Add(1)
		if !until(ctx, time.Now().Add(max(r.retryAfter, 10*time.Millisecond))) {
			return ctx.Err()
		}
	}
}

// atRest waits until the log is counted to its end and returns how many events
// were.
func (t *target) atRest(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		l, err := t.client.Ledger(ctx)
		if err != nil {
			return 0, err
		}
		if l.Total.AppliedOffset == l.Total.NextOffset {
			return l.Total.Counted, nil
		}
		if !until(ctx, time.Now().Add(10*time.Millisecond)) {
			return 0, fmt.Errorf("the log is not counted to its end: %w", context.Cause(ctx))
		}
	}
}

// account adds what a node of our own took of the machine, and checks that it
// counted every acknowledged event, none twice: a fast answer that is wrong is
// worth nothing.
func (t *target) account(ctx context.Context, m *measures) error {
	start := time.Now()
	counted, err := t.atRest(ctx)
	if err != nil {
		return err
	}
	m.add("counted to the end after, ms", float64(time.Since(start).Microseconds())/1000)
	m.add("requests refused (429)", float64(t.refused.Load()))
	if t.node == nil {
		return nil // others may send to it too
	}
	if counted != uint64(t.sent.Load()) {
		return fmt.Errorf("%d events were acknowledged, %d counted", t.sent.Load(), counted)
	}
	u, err := t.node.Usage()
	if err != nil {
		return err
	}
	m.add("node: CPU per event, µs", u.CPU.Seconds()*1e6/float64(t.sent.Load()))
	m.add("node: peak memory, MiB", float64(u.Peak)/(1<<20))
	at, err := t.client.Metrics(ctx)
	if err != nil {
		return err
	}
	m.add("engine: rows", float64(at.Rows))
	m.add("engine: bytes per row", at.TopKMemoryMB*(1<<20)/float64(at.Rows))
	return nil
}
