//go:build e2e

package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// TestFullDedupTable: when the ids of the dedup window fill their memory,
// requests with ids are refused with 429 and nothing of them is counted, those
// without ids are still taken, and without any traffic the table empties again.
func TestFullDedupTable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	rng := random(t)
	s := newServer(t, "--memory", "64MiB", "--max-body", "1MiB", "--dedup-memory", "1MiB", "--dedup-window", "5s")
	s.start(ctx)
	c := s.client.Load()
	var r record

	// Fill it: with 16 bytes an id, 1 MiB is far below 400,000 of them.
	from := &sender{name: "fill", rng: rng, ids: true}
	var refused *client.Error
	accepted := 0
	for refused == nil {
		b := from.bulk(1000)
		switch _, err := c.Ingest(ctx, b.events()); {
		case err == nil:
			accepted += len(b.lines)
			if err := r.add(b); err != nil {
				t.Fatal(err)
			}
		case !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests:
			t.Fatal(err)
		case refused.RetryAfter <= 0:
			t.Errorf("refused without Retry-After: %v", refused)
		}
		if accepted > 400_000 {
			t.Fatalf("%d ids were taken within seconds and no end", accepted)
		}
	}
	t.Logf("full with %d ids: %v", accepted, refused)

	plain := &batch{lines: [][]byte{fmt.Appendf(nil, `{"topic":"plain","timestamp":%d}`+"\n", messages.MicrosOf(time.Now().Add(-time.Second)))}}
	plain.body = plain.lines[0]
	if _, err := c.Ingest(ctx, plain.events()); err != nil {
		t.Errorf("an event without an id: %v", err)
	} else if err := r.add(plain); err != nil {
		t.Fatal(err)
	}

	full := time.Now()
	again := from.bulk(10)
	if _, err := s.send(ctx, again); err != nil { // waits, since 429 may be sent again
		t.Fatal(err)
	}
	if err := r.add(again); err != nil {
		t.Fatal(err)
	}
	t.Logf("took ids again after %v", time.Since(full).Round(100*time.Millisecond))
	everything(ctx, s, &r, rng)
}

// bulk makes a batch of n events with ids.
func (s *sender) bulk(n int) *batch {
	s.seq++
	b := &batch{}
	for i := range n {
		l := s.event(b, i, true)
		b.lines, b.body = append(b.lines, l), append(b.body, l...)
	}
	return b
}
