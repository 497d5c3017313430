//go:build e2e

package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/persistence/snapshot"
)

// published is from how many events on what a restart takes is held against
// what we promise; fewer say little about it.
const published = 10_000_000

// TestRestart measures how long the program takes to be ready with as many
// events and topics as it is told: behind a kill -9 with the snapshots that it
// takes by itself, behind a SIGTERM, and without snapshots, from the log alone;
// and what its snapshots take of the disk, and of the time of its shards. It
// says the same each time. CREST_RESTART_EVENTS, _TOPICS and _MEMORY (MiB) are
// the sizes.
func TestRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	rng := random(t)
	events := setting(t, "CREST_RESTART_EVENTS", 300_000)
	topics := setting(t, "CREST_RESTART_TOPICS", max(1, events/10))
	memory := setting(t, "CREST_RESTART_MEMORY", 1024)
	s := newServer(t, "--log-level", "info", "--memory", fmt.Sprintf("%dMiB", memory))
	s.start(ctx)
	began := time.Now()
	fill(ctx, t, s, rng, events, topics)
	c := &comparison{t: t, client: s.client.Load()}
	want := c.atRest(ctx)
	took := time.Since(began)
	t.Logf("%d events of %d topics in %v: %.2f million/s", events, topics, took.Round(time.Millisecond), float64(events)/took.Seconds()/1e6)
	if want.Counted != uint64(events) {
		t.Fatalf("%d events counted, %d were acknowledged", want.Counted, events)
	}
	stall := s.sample(ctx, "crest_snapshot_stall_seconds_max")
	t.Logf("%.0f snapshots meanwhile, %.0f failed; %.0f entries have none", s.sample(ctx, "crest_snapshots_taken_total"), s.sample(ctx, "crest_snapshots_failed_total"), s.sample(ctx, "crest_snapshot_uncovered_entries"))

	again := func(what string) (ready time.Duration) {
		t.Helper()
		began := time.Now()
		s.start(ctx)
		ready = time.Since(began)
		got := (&comparison{t: t, client: s.client.Load()}).atRest(ctx)
		if got.Epoch = want.Epoch; got != want {
			t.Errorf("%s the ledger says %+v, before %+v", what, got, want)
		}
		u, err := s.node.Usage()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: ready after %v, with %v of CPU time and %d MB resident at most", what, ready.Round(time.Millisecond), u.CPU, u.Peak>>20)
		for _, words := range []string{"snapshots loaded", "log replayed"} {
			for _, line := range saying(s.node.Log(), words) {
				_, line, _ = strings.Cut(line, "msg=")
				t.Log(line)
			}
		}
		return ready
	}
	s.kill()
	killed := again("behind a kill -9")
	held := memoryHeld(ctx, t, s)
	before := time.Now()
	s.stop(ctx)
	t.Logf("SIGTERM took %v", time.Since(before).Round(time.Millisecond))
	again("behind a SIGTERM")
	stall = max(stall, s.sample(ctx, "crest_snapshot_stall_seconds_max"))
	if _, err := s.client.Load().Snapshot(ctx); err != nil {
		t.Error(err)
	}
	s.kill()
	stored := newestBytes(ctx, t, storeOf(s))
	if err := os.RemoveAll(filepath.Join(s.data, "store")); err != nil {
		t.Fatal(err)
	}
	replayed := again("without snapshots")
	rate := float64(events) / replayed.Seconds()
	t.Logf("replay %.2f million/s; snapshots take %d MB on disk, the state %d MB of memory: %.0f %%; longest stall of a shard %v",
		rate/1e6, stored>>20, held>>20, 100*float64(stored)/float64(held), time.Duration(stall*float64(time.Second)).Round(time.Microsecond))
	if events < published {
		return
	}
	if killed > 8*time.Second {
		t.Errorf("ready after %v, want 8 s at most", killed)
	}
	if rate < 2e6 {
		t.Errorf("replay of %.0f events/s, want 2 million at least", rate)
	}
	if 10*stored > 6*held {
		t.Errorf("snapshots take %d bytes, the state %d: want 60 %% at most", stored, held)
	}
}

// fill sends events from a few connections: every topic once, the rest of them
// skewed. Each topic has a region.
func fill(ctx context.Context, t *testing.T, s *server, rng *rand.Rand, events, topics int) {
	t.Helper()
	const senders, piece = 4, 5000
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range senders {
		rng := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		wg.Go(func() {
			var b bytes.Buffer
			for from := i * piece; from < events && ctx.Err() == nil; from += senders * piece {
				b.Reset()
				for n := from; n < min(from+piece, events); n++ {
					topic := n
					if n >= topics {
						u := rng.Float64()
						topic = int(float64(topics) * u * u * u)
					}
					b.WriteString(`{"topic":"`)
					b.Write(videoID(b.AvailableBuffer(), uint64(topic)))
					b.WriteString(`","region":"`)
					b.WriteString(regions[1+topic%(len(regions)-1)])
					b.WriteString("\"}\n")
				}
				if _, err := s.send(ctx, &batch{body: b.Bytes()}); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Fatal(err)
	}
}

// videoID is a name of 11 letters that no compression makes smaller than 8
// bytes, as those of videos are.
func videoID(to []byte, n uint64) []byte {
	n *= 0x9e3779b97f4a7c15 // odd: no two numbers have one name
	n ^= n >> 32
	n *= 0xd6e8feb86659fd93
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return base64.RawURLEncoding.AppendEncode(to, b[:])
}

// memoryHeld is the bytes of all state that snapshots are of.
func memoryHeld(ctx context.Context, t *testing.T, s *server) int64 {
	t.Helper()
	m, err := s.client.Load().Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Memory
	return a.Rows + a.Names + a.Index + a.Lists + a.Overlays + a.Candidates + a.Sketches + a.Filters + a.Combine + a.Dedup
}

// newestBytes is what the newest snapshots of all partitions take.
func newestBytes(ctx context.Context, t *testing.T, k *store) (sum int64) {
	t.Helper()
	listings, err := snapshot.List(ctx, k.objects)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		if len(l.Roots) > 0 {
			sum += l.Roots[0].Bytes
		}
	}
	return sum
}
