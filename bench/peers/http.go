package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// httpSubject is crest as its users run it: a process of its own that answers a
// request once its events are durable.
type httpSubject struct {
	msgpack bool
	keys    bool // an Idempotency-Key for every request
	tenth   bool // a tenth of the memory that everything takes
}

// patience is how long a node may refuse events for lack of room.
var patience = client.Retry{Attempts: 50, Max: 2 * time.Second}

// plenty is a budget that no stream here exhausts: the default.
const plenty = 1 << 30

func (s httpSubject) measure(ctx context.Context, t *trial) (*reading, error) {
	memory := int64(plenty)
	if s.tenth {
		if t.need == 0 {
			if err := t.learnNeed(ctx); err != nil {
				return nil, err
			}
		}
		memory = budgetFor(t.need / 10)
	}
	data, err := os.MkdirTemp("", "crest-peers")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(data)
	n, err := bench.Start(t.bin, data, "--clock", "event", "--log-level", "warn",
		"--partitions", strconv.Itoa(t.partitions), "--memory", strconv.FormatInt(memory, 10))
	if err != nil {
		return nil, err
	}
	defer n.Kill()
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	addr, err := n.Ready(ready)
	if err != nil {
		return nil, err
	}
	c, err := client.New(addr, client.WithConnections(t.connections+1), client.WithRetry(patience))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return s.drive(ctx, t, &server{Node: n, Client: c})
}

// server is a node and the client that sends to it.
type server struct {
	*bench.Node
	*client.Client
}

func (v *server) Addr() string { return v.Node.Addr() }

func (s httpSubject) drive(ctx context.Context, t *trial, v *server) (*reading, error) {
	bodies := t.tape.Bodies(t.request, (*workload.Event).AppendJSON)
	if s.msgpack {
		bodies = t.tape.Bodies(t.request, (*workload.Event).AppendMsgpack)
	}
	events := t.firstPart(t.events)
	first := bodies[:events/t.request]
	r := &reading{}
	before, err := v.Usage()
	if err != nil {
		return nil, err
	}
	start, own := time.Now(), bench.OwnCPU()
	if err := s.send(ctx, t, v, first, 0, pace{}); err != nil {
		return nil, err
	}
	elapsed, own := time.Since(start), bench.OwnCPU()-own
	after, err := v.Usage()
	if err != nil {
		return nil, err
	}
	r.paces(events, elapsed, after.CPU-before.CPU, own)
	sent := len(first) + t.secondPart(t.events, r)/t.request
	r.reads, err = t.reading(ctx, readOverHTTP(v.Addr()), func() error {
		return s.send(ctx, t, v, bodies[len(first):sent], len(first), half(r))
	})
	if err != nil {
		return nil, err
	}
	if err := s.send(ctx, t, v, bodies[sent:], sent, pace{}); err != nil {
		return nil, err
	}
	return r, s.look(ctx, t, v, r)
}

// send sends bodies and waits until all of them are counted; from is the number
// of the first.
func (s httpSubject) send(ctx context.Context, t *trial, v *server, bodies [][]byte, from int, p pace) error {
	var next atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range t.connections {
		g.Go(func() error {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(bodies) {
					return nil
				}
				if err := p.wait(gctx, i*t.request); err != nil {
					return err
				}
				e := &client.Events{Body: bodies[i], ContentType: client.NDJSON}
				if s.msgpack {
					e.ContentType = client.MsgPack
				}
				if s.keys {
					e.Key = fmt.Sprint("request-", from+i)
				}
				answer, err := v.Ingest(gctx, e)
				if err != nil {
					return err
				}
				if answer.Status != "success" {
					return fmt.Errorf("not all events of a request were taken: %+v", answer.Errors)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for {
		l, err := v.Ledger(ctx)
		if err != nil {
			return err
		}
		if l.Total.AppliedOffset == l.Total.NextOffset {
			return nil
		}
		if !until(ctx, time.Now().Add(2*time.Millisecond)) {
			return ctx.Err()
		}
	}
}

// readOverHTTP reads whole answers and does not look into them.
func readOverHTTP(addr string) func(context.Context, int, question) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = readers
	h := &http.Client{Transport: transport}
	return func(ctx context.Context, _ int, q question) error {
		v := url.Values{"window": {q.window.String()}, "top": {strconv.Itoa(boardRows)}}
		if q.cell.Category != "" {
			v.Set("category", q.cell.Category)
		}
		if q.cell.Region != "" {
			v.Set("region", q.cell.Region)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr+"/api/v1/trending?"+v.Encode(), nil)
		if err != nil {
			return err
		}
		resp, err := h.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("read a board: %s", resp.Status)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

// look asks what the node holds, and judges its boards.
func (s httpSubject) look(ctx context.Context, t *trial, v *server, r *reading) error {
	l, err := v.Ledger(ctx)
	if err != nil {
		return err
	}
	if l.Total.Counted != uint64(t.events) {
		return fmt.Errorf("%d of %d events were counted", l.Total.Counted, t.events)
	}
	u, err := v.Usage()
	if err != nil {
		return err
	}
	m, err := v.Metrics(ctx)
	if err != nil {
		return err
	}
	r.resident, r.held = u.Resident, int64((m.CMSMemoryMB+m.TopKMemoryMB)*(1<<20))
	if !s.tenth {
		t.need = max(t.need, r.held)
	}
	for _, cell := range t.judge.cells {
		b, err := v.whole(ctx, cell, t.judge.tallies[cell].Total())
		if err != nil {
			return err
		}
		if said := t.judge.tallies[cell].Board(b); len(said.False) > 0 {
			return fmt.Errorf("board of %+v: %s", cell, said.False[0])
		}
		t.judge.board(&r.found, cell, rowsOf(b))
	}
	return nil
}

// whole is a cell's board of the whole stream: one that was read while the last
// events came is served until it is 100 ms old.
func (v *server) whole(ctx context.Context, cell messages.Cell, total uint64) (*api.Board, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		b, err := v.Trending(ctx, client.TrendingQuery{
			Scope: client.Scope{Window: messages.WindowAll.String(), Category: cell.Category, Region: cell.Region}, Top: boardRows,
		})
		if err != nil || b.Total.Upper >= total {
			return b, err
		}
		if !until(ctx, time.Now().Add(10*time.Millisecond)) {
			return nil, fmt.Errorf("board of %+v has %d events, want %d", cell, b.Total.Upper, total)
		}
	}
}

func rowsOf(b *api.Board) []row {
	var rows []row
	for _, r := range b.Topics {
		rows = append(rows, row{r.Topic, float64(r.Estimate)})
	}
	return rows
}

// learnNeed measures how much the engine takes when it keeps everything.
func (t *trial) learnNeed(ctx context.Context) error {
	r, err := engineSubject{}.measure(ctx, t)
	if err != nil {
		return fmt.Errorf("learn how much memory everything takes: %w", err)
	}
	t.need = r.held
	return nil
}

// budgetFor is the least --memory of which the engine has so much; what a node
// takes at least, if that is more.
func budgetFor(engine int64) int64 {
	c := node.DefaultConfig()
	c.Memory = 32 << 20
	for c.Split().Engine < engine {
		c.Memory += 1 << 20
	}
	return c.Memory
}
