package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
)

// result is a subject's readings, one a run.
type result struct {
	subject
	readings []*reading
}

// spread is that of a number over the runs.
func (r *result) spread(of func(*reading) float64) bench.Spread {
	var values []float64
	for _, one := range r.readings {
		values = append(values, of(one))
	}
	return bench.SpreadOf(values)
}

func (r *result) median(of func(*reading) float64) float64 { return r.spread(of).Median }

// What of a reading is printed.
var (
	perSecond = func(r *reading) float64 { return r.perSecond }
	serverCPU = func(r *reading) float64 { return r.server.Seconds() }
	clientCPU = func(r *reading) float64 { return r.generator.Seconds() }
	resident  = func(r *reading) float64 { return float64(r.resident) / (1 << 20) }
	held      = func(r *reading) float64 { return float64(r.held) / (1 << 20) }
	p50       = func(r *reading) float64 { return millis(r.reads.at(0.5)) }
	p99       = func(r *reading) float64 { return millis(r.reads.at(0.99)) }
	off       = func(r *reading) float64 { return 100 * r.found.off() }
	recall    = func(r *reading) float64 { return r.found.recalled() }
)

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (c *config) report(w io.Writer, t *tape.Tape, results []result) error {
	table := &bench.Table{
		Title: fmt.Sprintf("%s events of %s topics within an hour, seed %d; medians of %d", bench.Number(float64(c.events)), bench.Number(float64(len(t.Topics))), c.seed, c.runs),
		Head:  []string{"subject", "events/s", "CPU s/M", "client s/M", "resident MiB", "holds MiB", "read p50 ms", "p99 ms", "error %", "recall@100"},
	}
	for i := range results {
		r := &results[i]
		table.Add(r.name, bench.Number(r.median(perSecond)), bench.Number(r.median(serverCPU)),
			orDash(r.median(clientCPU)), orDash(r.median(resident)), bench.Number(r.median(held)),
			bench.Number(r.median(p50)), bench.Number(r.median(p99)), bench.Number(r.median(off)), fmt.Sprintf("%.4f", r.median(recall)))
	}
	if _, err := table.WriteTo(w); err != nil {
		return err
	}
	if c.runs > 1 {
		if err := spreads(w, results); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, notes+"\n"); err != nil {
		return err
	}
	return ratios(w, results)
}

func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return bench.Number(v)
}

// spreads prints the least and the greatest of all runs.
func spreads(w io.Writer, results []result) error {
	table := &bench.Table{Title: "least–greatest of the runs", Head: []string{"subject", "events/s", "CPU s/M", "read p50 ms", "p99 ms"}}
	for i := range results {
		row := []string{results[i].name}
		for _, of := range []func(*reading) float64{perSecond, serverCPU, p50, p99} {
			_, span := results[i].spread(of).Cells()
			row = append(row, span)
		}
		table.Add(row...)
	}
	_, err := table.WriteTo(w)
	return err
}

// ratios prints what the subjects of crest are to Redis with the same work.
func ratios(w io.Writer, results []result) error {
	find := func(name string) *result {
		if i := slices.IndexFunc(results, func(r result) bool { return r.name == name }); i >= 0 {
			return &results[i]
		}
		return nil
	}
	table := &bench.Table{
		Title: "to Redis (how many times as many events/s; what share of its CPU and of its memory)",
		Head:  []string{"crest", "Redis", "events/s", "CPU", "resident", "holds"},
	}
	for _, redis := range []string{"redis/20-keys", "redis/20-keys/combined"} {
		theirs := find(redis)
		if theirs == nil {
			continue
		}
		for i := range results {
			ours := &results[i]
			if !strings.HasPrefix(ours.name, "crest/") {
				continue
			}
			share := func(of func(*reading) float64) string {
				if of(ours.readings[0]) == 0 {
					return "–"
				}
				return "1/" + bench.Number(theirs.median(of)/ours.median(of))
			}
			table.Add(ours.name, redis, bench.Number(ours.median(perSecond)/theirs.median(perSecond))+" ×", share(serverCPU), share(resident), share(held))
		}
	}
	if find("redis/20-keys") == nil && find("redis/20-keys/combined") == nil {
		return nil
	}
	_, err := table.WriteTo(w)
	return err
}

// notes stand under every table.
const notes = `How to read it
* events/s and CPU are of the first three quarters of the stream, sent as fast as they are taken until the last is counted; reads are
  timed behind those, on all cores, while events come at half of that subject's own rate. CPU is that of the server's process; of
  crest/engine, map and count-min that of this process on one core (…/cores: on all), its garbage collection included. "client" is what
  making, sending and reading replies took beside the server.
* crest counts seven windows (5m 10m 1h 24h 7d 30d all) that slide to the second of the events, over four kinds of cells, and states
  bounds. Redis here has five sets for each kind of cell and expires nothing: all five hold the whole stream. Expiry (a ZINCRBY with
  a negative increment for every event that leaves, or a set per slice and ZUNIONSTORE) would cost Redis at least as much again: this favours Redis.
* crest/http answers once the events are in the log on disk, synced; Redis runs without persistence: this favours Redis.
* Redis runs on one core by design and leaves the other to the client; crest uses what the client leaves: this favours crest where the
  client takes little. CPU per million events does not depend on that. Redis gets its commands ready, crest has JSON or msgpack to parse.
* "combined": the client adds the increments of as many events up as crest combines in a flush, and sends sums: a client that does a part
  of crest's work, loses it if it dies, and is late by as long. Its own CPU is under "client".
* A board of crest is of at most 100 ms ago and kept for whoever asks next; Redis ranks at every read, and is never late. Reads ask for
  random windows, half of them for a category, half for a region, those of a random event: most have not
  been asked before. redis/1-key and count-min have one board; a map is sorted while nothing else goes on.
* Event time passes as much faster than the clock on the wall as events come faster than in their hour. A board of crest has to slide that
  far for every read, which a live stream spares it; Redis has no time.
* holds: crest's engine and Redis' used_memory as they say themselves; in this process, by how much the heap grew (crest/engine: as
  the engine says, checked against the heap).
* error and recall: boards of 100 of the whole stream, of any topic and of the 5 largest categories, regions and pairs of them; one board
  where there is but one. Topics that tie for the last place are equally right.
* tenth: a tenth of the engine's memory that everything takes, but no less than a node of 32 MiB gives its engine.
`
