package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// subject is what is compared with the truth: it takes events and answers as
// crest does.
type subject interface {
	// send counts events, a line of NDJSON each, before it returns.
	send(ctx context.Context, lines [][]byte) error
	board(ctx context.Context, scope client.Scope, k int) (*api.Board, error)
	counts(ctx context.Context, topics []string, scope client.Scope) (*api.Counts, error)
	close()
}

// node is a crest process.
type node struct {
	*client.Client
	started *bench.Node // nil: it was there before
	data    string
}

// patience is how long a node may refuse events for lack of room: it counts
// none of them then, and is to make room.
var patience = client.Retry{Attempts: 20, Max: 2 * time.Second}

// requestEvents is how many events go into a request.
const requestEvents = 5000

// node starts one with so much memory ("": its default), or goes to -addr.
func (c *config) node(ctx context.Context, memory string) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	addr := c.addr
	if addr == "" {
		if n.data, err = os.MkdirTemp("", "crest-accuracy"); err != nil {
			return n, err
		}
		flags := append([]string{"--clock", "event", "--log-level", "warn"}, strings.Fields(c.flags)...)
		if memory != "" {
			flags = append(flags, "--memory", memory)
		}
		if n.started, err = bench.Start(c.bin, n.data, flags...); err != nil {
			return n, err
		}
		ready, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if addr, err = n.started.Ready(ready); err != nil {
			return n, err
		}
	}
	if n.Client, err = client.New(addr, client.WithRetry(patience)); err != nil {
		return n, err
	}
	ledger, err := n.Ledger(ctx)
	if err != nil {
		return n, err
	}
	if ledger.Total.Logged > 0 {
		return n, fmt.Errorf("the node at %s has %d events in its log: want an empty one", addr, ledger.Total.Logged)
	}
	return n, nil
}

func (n *node) send(ctx context.Context, lines [][]byte) error {
	position := ""
	for chunk := range slices.Chunk(lines, requestEvents) {
		answer, err := n.Ingest(ctx, &client.Events{Body: bytes.Join(chunk, nil), ContentType: client.NDJSON})
		if err != nil {
			return err
		}
		if answer.Status != "success" {
			return fmt.Errorf("not all of %d events were taken: %+v", len(chunk), answer.Errors)
		}
		position = answer.Position
	}
	_, err := n.Count(ctx, "any", client.Scope{After: position})
	return err
}

func (n *node) board(ctx context.Context, scope client.Scope, k int) (*api.Board, error) {
	return n.Trending(ctx, client.TrendingQuery{Scope: scope, Top: k})
}

func (n *node) counts(ctx context.Context, topics []string, scope client.Scope) (*api.Counts, error) {
	return n.Counts(ctx, topics, scope)
}

func (n *node) close() {
	if n.Client != nil {
		n.Close()
	}
	if n.started != nil {
		n.started.Kill()
	}
	if n.data != "" {
		os.RemoveAll(n.data)
	}
}
