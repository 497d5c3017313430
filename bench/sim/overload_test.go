//go:build e2e

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

const (
	heldRate    = 100_000 // entries a second that the engine is held at
	offeredRate = 1_000_000
	floodBatch  = 1000 // events of a request
	floodMemory = 256 << 20
)

// TestOverload offers ten times what the engine can count. What is beyond is
// refused with 429 and says when to come again, memory stays within its bound,
// what was accepted was accepted soon and is counted to the last event, and
// five seconds later everything is as before. CREST_OVERLOAD is for how many
// seconds. A run of less than a minute, which stands beside other work on
// whatever machine, has an engine of a quarter of that, and more patience.
func TestOverload(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	length := time.Duration(setting(t, "CREST_OVERLOAD", 5)) * time.Second
	held, most, before := heldRate, 250*time.Millisecond, 5*time.Second
	if length < time.Minute {
		held, most, before = heldRate/4, 5*time.Second, time.Minute
	}
	s := newChild(t, 1_000_000, "--memory", fmt.Sprint(floodMemory), "--count-rate", fmt.Sprint(held), "--max-lag", fmt.Sprint(4*held)) // four seconds may wait
	s.start(ctx)
	f := flooded(ctx, t, s, rng, length)

	ended := time.Now()
	offered := float64(f.accepted+f.refused) / length.Seconds()
	t.Logf("%.0f events/s offered for %v: %d accepted, %d refused; an accepted request took %v at the median, %v at p99",
		offered, length, f.accepted, f.refused, f.quantile(0.5), f.quantile(0.99))
	if offered < float64(5*held) {
		t.Errorf("%.0f events/s offered to an engine of %d: that is no overload", offered, held)
	}
	if f.refused == 0 || f.accepted < int(length.Seconds())*held/2 {
		t.Errorf("want events refused, and as many accepted as the engine counts")
	}
	if late := f.quantile(0.99); late > most {
		t.Errorf("p99 of accepted requests is %v, want %v at most", late, most)
	}
	soon, cancel := context.WithTimeout(ctx, before)
	defer cancel()
	normal(soon, t, s, f)
	t.Logf("%v later everything is counted, and events are taken as before", time.Since(ended).Round(time.Millisecond))

	u, err := s.node.Usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("resident at most %d MB, of %d planned", u.Peak>>20, floodMemory>>20)
	if most := int64(floodMemory*5/4 + 150<<20); u.Peak > most {
		t.Errorf("%d bytes resident, want %d at most", u.Peak, most)
	}
	f.counted(ctx, t, s)
	s.kill()
	s.start(ctx)
	f.counted(ctx, t, s)
}

// flood is what became of many requests.
type flood struct {
	mu                sync.Mutex
	accepted, refused int             // events
	took              []time.Duration // of accepted requests
	err               error
}

// flooded sends requests at the offered rate from more connections than it takes.
func flooded(ctx context.Context, t *testing.T, s *server, rng *rand.Rand, length time.Duration) *flood {
	t.Helper()
	const senders = 32
	f := &flood{}
	bodies := make([][]byte, 64)
	for i := range bodies {
		bodies[i] = floodBody(rng)
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	every := time.Second * senders * floodBatch / offeredRate
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			tick := time.NewTicker(every) // leaves out what comes too late
			defer tick.Stop()
			for n := i; ; n++ {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				if err := f.send(context.WithoutCancel(ctx), s, bodies[n%len(bodies)]); err != nil {
					f.mu.Lock()
					f.err = errors.Join(f.err, err)
					f.mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f
}

// floodBody is a request of events without timestamps.
func floodBody(rng *rand.Rand) []byte {
	var b bytes.Buffer
	for range floodBatch {
		fmt.Fprintf(&b, `{"topic":"t%d","region":%q}`+"\n", int(50_000*rng.Float64()*rng.Float64()), regions[1+rng.IntN(len(regions)-1)])
	}
	return b.Bytes()
}

// send sends a request once.
func (f *flood) send(ctx context.Context, s *server, body []byte) error {
	began := time.Now()
	answer, err := s.client.Load().Ingest(ctx, &client.Events{Body: body, ContentType: client.NDJSON})
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	var said *client.Error
	switch {
	case err == nil:
		f.accepted += *answer.Accepted
		f.took = append(f.took, took)
	case !errors.As(err, &said) || said.Status != http.StatusTooManyRequests:
		return fmt.Errorf("want 200 or 429: %w", err)
	case said.RetryAfter <= 0:
		return fmt.Errorf("refused without Retry-After: %w", err)
	default:
		f.refused += floodBatch
	}
	return nil
}

func (f *flood) quantile(q float64) time.Duration {
	slices.Sort(f.took)
	return f.took[int(q*float64(len(f.took)-1))].Round(100 * time.Microsecond)
}

// normal waits until nothing is behind and an event is taken and counted at
// once.
func normal(ctx context.Context, t *testing.T, s *server, f *flood) {
	t.Helper()
	for {
		l, err := s.client.Load().Ledger(ctx)
		if err == nil && l.Total.AppliedOffset == l.Total.NextOffset {
			break
		}
		if !pause(ctx, 10*time.Millisecond) {
			t.Fatalf("the engine is still behind: %+v, %v", l, err)
		}
	}
	answer, err := s.client.Load().Ingest(ctx, &client.Events{Body: []byte(`{"topic":"afterwards"}`), ContentType: client.NDJSON})
	if err != nil {
		t.Fatalf("an event behind the overload: %v", err)
	}
	f.accepted++
	count, err := s.client.Load().Count(ctx, "afterwards", client.Scope{Window: "5m", After: answer.Position})
	if err != nil || count.Lower != 1 || count.Upper != 1 {
		t.Fatalf("an event behind the overload counts as %+v, %v", count, err)
	}
}

// counted wants what was accepted to be counted, all of it and no more.
func (f *flood) counted(ctx context.Context, t *testing.T, s *server) {
	t.Helper()
	c := &comparison{t: t, client: s.client.Load()}
	if l := c.atRest(ctx); l.Counted != uint64(f.accepted) || l.Logged != l.Counted {
		t.Errorf("%d events accepted, the ledger says %+v", f.accepted, l)
	}
}
