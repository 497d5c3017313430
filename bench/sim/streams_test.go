//go:build e2e

package sim

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// TestStreams sends whole streams to a node that follows event time and
// compares its answers at ten random moments with counts over the raw events:
// recorded streams, if CREST_DATA names a folder with them, and a generated
// one. With bounds wide enough everything is exact; with the default bounds
// some categories count in "other", and every answer stays true.
func TestStreams(t *testing.T) {
	cases := []struct {
		name  string
		file  string // in CREST_DATA; "": generated
		flags []string
		exact bool
	}{
		{"generated", "", nil, true},
		{"generated, narrow", "", []string{"--max-categories", "6", "--max-regions", "20"}, false},
		{"retail", "retail.ndjson.zst", nil, true},
		{"reddit", "reddit.ndjson.zst", []string{"--max-categories", "4096"}, true},
		{"reddit, default bounds", "reddit.ndjson.zst", nil, false},
		{"wikipedia", "wikipedia.ndjson.zst", []string{"--max-categories", "512", "--max-regions", "512"}, true},
		{"wikipedia, default bounds", "wikipedia.ndjson.zst", nil, false},
		{"youtube 2017", "youtube-2017.ndjson.zst", nil, true},
		{"youtube 2020", "youtube-2020.ndjson.zst", nil, true},
	}
	folder := os.Getenv("CREST_DATA")
	for _, c := range cases {
		if c.file != "" && folder == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			rng := random(t)
			lines := generated(rng)
			if c.file != "" {
				var err error
				if lines, err = bench.ReadLines(filepath.Join(folder, c.file)); err != nil {
					t.Fatal(err)
				}
			}
			stream(t, rng, lines, c.exact, append([]string{"--clock", "event", "--memory", "2GiB"}, c.flags...))
		})
	}
}

// generated is a stream of two days with flash crowds and a daily rhythm, in
// which one event in fifty is late, by up to 40 days.
func generated(rng *rand.Rand) [][]byte {
	cfg := workload.DefaultConfig()
	cfg.Seed = rng.Uint64()
	cfg.Rate, cfg.Topics, cfg.Regions, cfg.MaxCount, cfg.IDs = 1, 3000, 60, 3, true
	cfg.Diurnal = workload.Diurnal{Depth: 0.8, Period: 24 * time.Hour}
	cfg.Crowds = workload.Crowds{Every: 4 * time.Hour, First: time.Hour, Share: 0.5, Rise: 10 * time.Minute, Hold: 30 * time.Minute, HalfLife: 10 * time.Minute}
	s, err := workload.New(cfg)
	if err != nil {
		panic(err) // the configuration above
	}
	var lines [][]byte
	var e workload.Event
	for e.Time < cfg.Start+2*messages.Day {
		s.Next(&e)
		if sent := e; rng.IntN(50) == 0 {
			sent.Time -= messages.Micros(rng.Float64() * rng.Float64() * float64(40*messages.Day))
			lines = append(lines, sent.AppendJSON(nil))
			continue
		}
		lines = append(lines, e.AppendJSON(nil))
	}
	return lines
}

// moments is how often a stream is stopped and compared.
const moments = 10

func stream(t *testing.T, rng *rand.Rand, lines [][]byte, exact bool, flags []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	s := newServer(t, flags...)
	s.start(ctx)
	stops := []int{len(lines)}
	for range moments - 1 {
		stops = append(stops, 1+rng.IntN(len(lines)))
	}
	slices.Sort(stops)

	c := &comparison{t: t, client: s.client.Load(), events: &truth.Events{}, rng: rng, exact: exact}
	sent := 0
	var sending, asking time.Duration
	for _, stop := range stops {
		start := time.Now()
		if position := sendLines(ctx, t, s, c.events, lines[sent:stop]); position != "" { // two stops may be one
			c.after = position
		}
		sent = stop
		sending += time.Since(start)

		start = time.Now()
		c.engineTime, c.tallies = c.events.Latest(), nil
		c.cells = c.events.SomeCells(rng, 5)
		c.ledger(ctx)
		c.windows(ctx, 1+1000/(len(messages.StandardWindows)*len(c.cells)))
		c.someHistories(ctx, 100)
		asking += time.Since(start)
	}
	t.Logf("%d events sent in %v; %d boards, %d counts, %d histories compared in %v, %d of them inexact", sent, sending.Round(time.Millisecond),
		c.boards, c.counts, c.histories, asking.Round(time.Millisecond), c.inexact)
	if !exact && c.inexact == 0 {
		t.Error("no value went past the bounds")
	}
}

// sendLines sends events in requests of 5,000, waits until the last is counted,
// and returns its position.
func sendLines(ctx context.Context, t *testing.T, s *server, events *truth.Events, lines [][]byte) (position string) {
	t.Helper()
	for len(lines) > 0 {
		n := min(len(lines), 5000)
		b := &batch{}
		for _, l := range lines[:n] {
			b.body = append(b.body, l...)
			if err := events.AddLine(l); err != nil {
				t.Fatal(err)
			}
		}
		answer, err := s.send(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != "success" || (answer.Accepted != nil && *answer.Accepted != n) {
			t.Fatalf("not all of %d events were accepted: %+v", n, answer)
		}
		position, lines = answer.Position, lines[n:]
	}
	if _, err := s.client.Load().Trending(ctx, client.TrendingQuery{Scope: client.Scope{Window: "5m", After: position}}); err != nil {
		t.Fatalf("after %s: %v", position, err)
	}
	return position
}
