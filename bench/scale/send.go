package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// requestEvents is how many events go into a request: about 600 KB, which a
// node with 64 MiB still takes.
const requestEvents = 10_000

// progress is what the node took at a point of the stream.
type progress struct {
	events uint64
	took   time.Duration
	usage  bench.Usage
	engine int64 // bytes that the node accounts for
}

// send sends the events of [from, to) and waits until they are counted. The
// next request is made while the last is on its way.
func (r *run) send(ctx context.Context, from, to uint64) error {
	bodies := make(chan []byte, 2)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(bodies)
		for at := from; at < to; at += requestEvents {
			var b []byte
			for i := at; i < min(at+requestEvents, to); i++ {
				e := r.stream.at(i)
				b = e.appendJSON(b)
			}
			select {
			case bodies <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	position := ""
	for b := range bodies {
		answer, err := r.client.Ingest(ctx, &client.Events{Body: b, ContentType: client.NDJSON})
		if err != nil {
			return err
		}
		if answer.Status != "success" {
			return fmt.Errorf("not all events were taken: %+v", answer.Errors)
		}
		position = answer.Position
	}
	if position == "" {
		return ctx.Err()
	}
	return r.await(ctx, position)
}

// await waits until a position is counted; a node far behind answers 503 for
// a while.
func (r *run) await(ctx context.Context, position string) error {
	for {
		_, err := r.client.Count(ctx, "any", client.Scope{After: position})
		if err == nil {
			return nil
		}
		status, serr := r.client.Status(ctx)
		if serr != nil {
			return err
		}
		if status.LagRecords == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// note adds a line of progress.
func (r *run) note(ctx context.Context, events uint64, since time.Time) error {
	u, err := r.node.Usage()
	if err != nil {
		return err
	}
	status, err := r.client.Status(ctx)
	if err != nil {
		return err
	}
	engine := int64(0)
	for _, share := range status.Budget {
		if share.Part == "engine" {
			engine = share.UsedBytes
		}
	}
	r.progress = append(r.progress, progress{events, time.Since(since), u, engine})
	r.held = kinds(&status.Memory)
	return nil
}

// kinds writes an account of memory as the node names its parts.
func kinds(m *api.Memory) string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is numbers alone
	}
	return strings.NewReplacer(`"`, "", "{", "", "}", "", ",", ", ", ":", " ").Replace(string(text))
}
