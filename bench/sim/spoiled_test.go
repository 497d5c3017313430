//go:build e2e

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// spoiled feeds a running node, ends it, spoils its store in every way, and
// looks each time whether it says the same. It leaves the node running.
func spoiled(ctx context.Context, t *testing.T, s *server, k *store, topics int) {
	t.Helper()
	rng := random(t)
	j := &judged{server: s, rng: rng, exact: topics < 1000}
	const pieces = 5
	for piece := range pieces {
		// As many events as there are topics, but half of them of few.
		j.feed(ctx, max(4000, topics)/pieces, topics)
		if piece == pieces-1 {
			break
		}
		if piece%2 == 0 {
			s.kill()
		} else {
			s.stop(ctx)
		}
		k.keep(ctx)
		s.start(ctx)
	}
	want := j.look(ctx)
	j.compare(ctx)
	s.kill()
	t.Logf("%d snapshots are kept, %d copies of the store", k.sound(ctx), len(k.older))
	last := k.all(ctx)
	for _, c := range []struct {
		name  string
		spoil func()
		begun bool // with a snapshot
	}{
		{"as it was", func() {}, true},
		{"all snapshots deleted", func() { k.empty(ctx) }, false},
		{"the oldest alone", func() { k.back(ctx, last); k.oldest(ctx) }, true},
		{"an older copy", func() { k.back(ctx, k.older[1]) }, true},
		{"the first copy, and no runs of ids", func() { k.back(ctx, k.older[0]); s.loseRuns() }, len(k.older[0]) > 16},
		{"the last copy again", func() { k.back(ctx, last) }, true},
	} {
		c.spoil()
		started := time.Now()
		s.start(ctx)
		t.Logf("%s: ready after %v", c.name, time.Since(started).Round(time.Millisecond))
		if got := j.look(ctx); got != want {
			t.Fatalf("%s: the node says\n%s\nwanted\n%s", c.name, got, want)
		}
		j.compare(ctx)
		n := s.node
		s.kill()
		if loaded(n.Log()) != c.begun {
			t.Errorf("%s: the node began with a snapshot: %v, want %v\n%s", c.name, !c.begun, c.begun, n.Log())
		}
	}
	s.start(ctx)
}

// judged is a node with what it was sent.
type judged struct {
	*server
	rng    *rand.Rand
	events truth.Events
	sent   int
	after  string // position of the last that was sent
	exact  bool   // there is memory for everything
}

// feed sends n events with ids: half of them of 200 topics, the rest of all.
func (j *judged) feed(ctx context.Context, n, topics int) {
	j.t.Helper()
	for n > 0 {
		b := &batch{}
		for range min(n, 500) {
			topic := j.rng.IntN(topics)
			if j.rng.IntN(2) == 0 {
				topic = j.rng.IntN(min(topics, 1+j.rng.IntN(200)))
			}
			j.sent++
			var l bytes.Buffer
			fmt.Fprintf(&l, `{"topic":"topic-%d","timestamp":%d,"event_id":"e%d"`, topic, messages.MicrosOf(time.Now())-messages.Micros(j.rng.Int64N(int64(2*messages.Hour))), j.sent)
			if r := regions[j.rng.IntN(len(regions))]; r != "" {
				fmt.Fprintf(&l, `,"region":%q`, r)
			}
			l.WriteString("}\n")
			b.lines, b.body = append(b.lines, l.Bytes()), append(b.body, l.Bytes()...)
		}
		j.take(ctx, b)
		j.add(b)
		n -= len(b.lines)
	}
}

// comparison is a fresh one with the node that runs now.
func (j *judged) comparison() *comparison {
	return &comparison{t: j.t, client: j.client.Load(), events: &j.events, rng: j.rng, after: j.after, exact: j.exact, cells: []messages.Cell{{}, {Region: "IN"}}}
}

// compare holds the node's answers against what it was sent.
func (j *judged) compare(ctx context.Context) {
	j.t.Helper()
	c := j.comparison()
	c.ledger(ctx)
	c.windows(ctx, 20)
	c.someHistories(ctx, 20)
	if !j.exact && c.inexact == 0 {
		j.t.Error("no answer was inexact: that tests little")
	}
}

// look is what has to be the same whatever became of the snapshots: the
// ledger, the digest, and boards where they are exact.
func (j *judged) look(ctx context.Context) string {
	j.t.Helper()
	c := j.comparison()
	ledger := c.atRest(ctx)
	ledger.Epoch = 0 // counts takeovers
	said, err := json.Marshal(ledger)
	if err != nil {
		j.t.Fatal(err)
	}
	if !j.exact {
		return string(said) // which boards are exact depends on what has left, and when
	}
	for _, cell := range c.cells {
		for _, top := range []int{10, 300} {
			board, err := c.client.Trending(ctx, client.TrendingQuery{Scope: c.scope("all", cell), Top: top})
			if err != nil {
				j.t.Fatal(err)
			}
			said = fmt.Appendf(said, "\n%+v, top %d: %+v", cell, top, board.Topics)
		}
	}
	return string(said)
}
