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

// Of TestFullDedupTable: small enough to be full within moments, and short
// enough to pass by.
const (
	dedupMemory = 1 << 20
	dedupWindow = 4 * time.Second
	dedupBatch  = 1000 // ids of a request: the table is to be full within a window on any machine
)

// TestFullDedupTable sends more ids than the table has room for, for three
// dedup windows. While it is full, requests with ids are refused with 429 and
// nothing of them is counted, those without are taken; it stays within its
// memory, and has room again and again. No id is forgotten within the window to
// make that room: the first ones are sent again, and do not count.
func TestFullDedupTable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	s := newServer(t, "--memory", "256MiB", "--dedup-memory", fmt.Sprint(dedupMemory), "--dedup-window", dedupWindow.String())
	s.start(ctx)
	c := s.client.Load()
	var r record
	from := &sender{name: "fill", rng: rng, ids: true}
	// take sends a batch once and tells whether there was room for it.
	take := func(b *batch) bool {
		t.Helper()
		_, err := c.Ingest(ctx, b.events())
		var said *client.Error
		switch {
		case err == nil:
			if err := r.add(b); err != nil {
				t.Fatal(err)
			}
			return true
		case !errors.As(err, &said) || said.Status != http.StatusTooManyRequests:
			t.Fatal(err)
		case said.RetryAfter <= 0:
			t.Fatalf("refused without Retry-After: %v", said)
		}
		return false
	}

	first := from.bulk(1)
	if !take(first) {
		t.Fatal("an empty table is full")
	}
	begun := time.Now()
	refused, ids, repeated := 0, 0, 0
	for window := 1; window <= 3; window++ {
		taken := 0
		for refused = 0; time.Since(begun) < time.Duration(window)*dedupWindow; {
			if b := from.bulk(dedupBatch); take(b) {
				taken++
				continue
			}
			refused++
			if plain := from.plain(); !take(plain) {
				t.Fatal("an event without an id was refused")
			}
			if time.Since(begun) < dedupWindow*3/4 && take(first) {
				repeated++
			}
			pause(ctx, 10*time.Millisecond)
		}
		if taken == 0 || refused == 0 {
			t.Errorf("window %d: %d requests were taken and %d refused, want some of both", window, taken, refused)
		}
		t.Logf("window %d: %d requests were taken, %d refused", window, taken, refused)
		ids += dedupBatch * taken
	}
	m, err := c.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d ids in all, %d bytes of the table's %d in use; %d times the first id again", ids, m.Memory.Dedup, dedupMemory, repeated)
	if m.Memory.Dedup > dedupMemory*5/4 { // what was under way when it was full is remembered too
		t.Errorf("the table takes %d bytes of %d", m.Memory.Dedup, dedupMemory)
	}

	full := time.Now()
	last := from.bulk(100)
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := s.send(soon, last); err != nil { // again and again, since 429 may be sent again
		t.Fatalf("the table stays full: %v", err)
	}
	if err := r.add(last); err != nil {
		t.Fatal(err)
	}
	t.Logf("without other traffic it had room after %v", time.Since(full).Round(time.Millisecond))
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

// plain makes a batch of one event without an id or a key.
func (s *sender) plain() *batch {
	l := fmt.Appendf(nil, `{"topic":"plain","timestamp":%d}`+"\n", messages.MicrosOf(time.Now().Add(-time.Second)))
	return &batch{lines: [][]byte{l}, body: l}
}
