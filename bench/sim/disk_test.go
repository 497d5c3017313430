//go:build e2e

package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

// TestDiskErrors: from the n-th write or sync of one of the log's files on, the
// disk of a running node fails, or is full. Within a second no event is taken any more
// (503), reads go on and the node says what is wrong; behind a kill -9 and a
// restart everything that was acknowledged is there, once.
func TestDiskErrors(t *testing.T) {
	for _, c := range []struct{ calls, errno, files string }{
		{dataCalls, "EIO", "*.seg"},
		{dataCalls, "ENOSPC", "*.seg"},
		{dataCalls, "EIO", "durable"},
		{writeCalls, "EIO", "*.seg"},
		{writeCalls, "ENOSPC", "*.seg"},
		{writeCalls, "ENOSPC", "durable"},
	} {
		t.Run(c.calls+" "+c.errno+" "+c.files, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			rng := random(t)
			s := newChild(t, 300, "--dedup-window", "2h")
			s.start(ctx)
			l := begin(ctx, t, rng, 4, 2*time.Millisecond, acknowledge(s))
			accepted := func() float64 { return s.sample(ctx, "crest_events_accepted_total") }
			until(ctx, t, l, "events are taken", func() bool { return accepted() > 1000 })

			n := 1 + rng.IntN(3)
			i := inject(ctx, t, s.node.Process(), c.calls, c.errno, n, s.logFiles(c.files)...)
			p := newProbe(s, l, rng)
			last := p.refused(ctx)
			failed := i.first()
			if failed.IsZero() {
				t.Fatal("the node refuses events, but no call has failed")
			}
			if last.IsZero() {
				last = failed // none was taken any more
			}
			late := last.Sub(failed).Round(time.Millisecond)
			t.Logf("the last event that was taken was sent %v after the first error, call %d of a thread", late, n)
			if late > time.Second {
				t.Errorf("events were taken that were sent up to %v after the first error, want 1 s at most", late)
			}
			i.end() // what follows would succeed; it must not be believed
			before := accepted()
			reads(ctx, t, s)
			for range 20 {
				if p.takes(ctx) {
					t.Fatal("an event was taken by a log that had failed")
				}
			}
			if after := accepted(); after != before {
				t.Errorf("%v events were taken by a log that had failed", after-before)
			}
			if writable := s.sample(ctx, "crest_log_writable"); writable != 0 {
				t.Errorf("crest_log_writable is %v", writable)
			}
			h, err := s.client.Load().Health(ctx)
			if err != nil || h.Status != "degraded" || h.Reason == "" {
				t.Errorf("health says %+v, %v; want degraded, and why", h, err)
			} else {
				t.Logf("health: %s", h.Reason)
			}
			s.kill()
			s.start(ctx)
			p.again(ctx)
			l.end(t)
			everything(ctx, s, &l.record, rng)
		})
	}
}

// TestStoreDiskErrors: renames and syncs of the store fail from the n-th on.
// That costs snapshots: the node says so, events are taken and counted, and
// once the disk is well again so are the snapshots.
func TestStoreDiskErrors(t *testing.T) {
	for _, c := range []struct{ calls, errno string }{
		{renameCalls, "EIO"},
		{fsyncCalls, "ENOSPC"},
	} {
		t.Run(c.calls+" "+c.errno, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			rng := random(t)
			s := newChild(t, 300, "--dedup-window", "2h")
			s.start(ctx)
			l := begin(ctx, t, rng, 4, 2*time.Millisecond, acknowledge(s))
			taken := func() float64 { return s.sample(ctx, "crest_snapshots_taken_total") }
			until(ctx, t, l, "a snapshot is taken", func() bool { return taken() > 0 })

			i := inject(ctx, t, s.node.Process(), c.calls, c.errno, 1+rng.IntN(3))
			until(ctx, t, l, "a snapshot has failed", func() bool { return s.sample(ctx, "crest_snapshots_failed_total") > 0 })
			accepted := s.sample(ctx, "crest_events_accepted_total")
			until(ctx, t, l, "events are taken", func() bool { return s.sample(ctx, "crest_events_accepted_total") > accepted+500 })
			reads(ctx, t, s)
			if lines := saying(s.node.Log(), "a snapshot failed"); len(lines) == 0 {
				t.Errorf("the node does not say that a snapshot failed:\n%s", s.node.Log())
			} else {
				t.Log(lines[0])
			}
			i.end()
			was := taken()
			until(ctx, t, l, "snapshots go on", func() bool { return taken() > was+2 })
			s.kill()
			k := storeOf(s)
			t.Logf("%d snapshots are kept", k.sound(ctx))
			s.start(ctx)
			l.end(t)
			everything(ctx, s, &l.record, rng)
		})
	}
}

// probe sends one event after the other, each once, and keeps those that were
// refused until there is a node that takes them.
type probe struct {
	*server
	load    *load
	from    *sender
	pending []*batch
}

func newProbe(s *server, l *load, rng *rand.Rand) *probe {
	return &probe{server: s, load: l, from: &sender{name: "probe", rng: rng}}
}

// refused sends events until one is refused with 503, and returns when the last
// one was sent that was taken.
func (p *probe) refused(ctx context.Context) (last time.Time) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		sent := time.Now()
		if !p.takes(ctx) {
			return last
		}
		last = sent
		if !pause(ctx, time.Millisecond) {
			p.t.Fatal("events are taken although the disk fails")
		}
	}
}

// takes sends an event and tells whether it was taken, or refused with 503.
func (p *probe) takes(ctx context.Context) bool {
	p.t.Helper()
	b := p.from.bulk(1)
	_, err := p.client.Load().Ingest(ctx, b.events())
	if err == nil {
		p.add(b)
		return true
	}
	var said *client.Error
	if !errors.As(err, &said) || said.Status != http.StatusServiceUnavailable {
		p.t.Fatalf("an event was answered with %v, want 200 or 503", err)
	}
	p.pending = append(p.pending, b)
	return false
}

// again sends what was refused; a part of it may be in the log already.
func (p *probe) again(ctx context.Context) {
	p.t.Helper()
	for _, b := range p.pending {
		if _, err := p.send(ctx, b); err != nil {
			p.t.Fatal(err)
		}
		p.add(b)
	}
}

func (p *probe) add(b *batch) {
	p.t.Helper()
	if err := p.load.add(b); err != nil {
		p.t.Fatal(err)
	}
}

// reads wants boards, counts and the ledger to be answered.
func reads(ctx context.Context, t *testing.T, s *server) {
	t.Helper()
	c := s.client.Load()
	_, board := c.Trending(ctx, client.TrendingQuery{Top: 100})
	_, count := c.Count(ctx, "topic-1", client.Scope{Window: "1h", Region: "IN"})
	_, ledger := c.Ledger(ctx)
	if err := errors.Join(board, count, ledger); err != nil {
		t.Errorf("reads while the disk fails: %v", err)
	}
}
