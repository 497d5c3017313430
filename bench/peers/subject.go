package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
)

// subject is one way to rank the stream.
type subject struct {
	name    string
	measure func(context.Context, *trial) (*reading, error)
}

// subjects are all of them, in the order of the table.
var subjects = []subject{
	{"crest/http/ndjson", httpSubject{}.measure},
	{"crest/http/msgpack", httpSubject{msgpack: true}.measure},
	{"crest/http/ndjson/keys", httpSubject{keys: true}.measure},
	{"crest/http/msgpack/keys", httpSubject{msgpack: true, keys: true}.measure},
	{"crest/http/ndjson/tenth", httpSubject{tenth: true}.measure},
	{"crest/engine/hour", engineSubject{}.measure},
	{"crest/engine/hour/cores", engineSubject{cores: true}.measure},
	{"crest/engine/hour/keys", engineSubject{keys: true}.measure},
	{"crest/engine/1M", engineSubject{rate: 1_000_000}.measure},
	{"crest/engine/200k", engineSubject{rate: 200_000}.measure},
	{"crest/engine/58k", engineSubject{rate: 58_000}.measure},
	{"crest/engine/tenth", engineSubject{tenth: true}.measure},
	{"redis/20-keys", redisSubject{windows: 5}.measure},
	{"redis/20-keys/combined", redisSubject{windows: 5, combined: true}.measure},
	{"redis/1-key", redisSubject{}.measure},
	{"map/20-keys", mapSubject{windows: 5}.measure},
	{"map/1-key", mapSubject{}.measure},
	{"count-min/1-key", measureCountMin},
}

func names(all []subject) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.name)
	}
	return out
}

// trial is what a subject is measured with.
type trial struct {
	*config
	tape  *tape.Tape
	judge *judge
}

// firstPart is how many of all events come as fast as they are taken. It is a
// multiple of the events of a request, as secondPart is.
func (t *trial) firstPart(all int) int { return all * 3 / 4 / t.request * t.request }

// secondPart is how many come behind the first, at half of the rate that r found
// of those, while boards are read. What is left then comes as fast as it is
// taken.
func (t *trial) secondPart(all int, r *reading) int {
	n := min(all-t.firstPart(all), int(r.perSecond/2*t.readFor.Seconds()))
	return max(1, n/t.request) * t.request
}

// pace says when events are due; the zero value: all at once.
type pace struct {
	start     time.Time
	perSecond float64
}

// half begins now, at half of the rate that r found.
func half(r *reading) pace { return pace{time.Now(), r.perSecond / 2} }

// wait waits until the n-th event is due.
func (p pace) wait(ctx context.Context, n int) error {
	if p.perSecond > 0 && !until(ctx, p.start.Add(time.Duration(float64(n)/p.perSecond*float64(time.Second)))) {
		return ctx.Err()
	}
	return nil
}

// reading is what one repetition found.
type reading struct {
	perSecond float64       // events, of the first part
	server    time.Duration // CPU per million events, of the first part
	generator time.Duration // CPU of the client per million events; 0: there is none
	resident  int64         // bytes of the process in the end; 0: it is this one
	held      int64         // bytes that the store says it holds; in this process, by which the heap grew
	reads     latencies
	found     findings
}

// paces sets the rates of the first part.
func (r *reading) paces(events int, elapsed, server, generator time.Duration) {
	r.perSecond = float64(events) / elapsed.Seconds()
	r.server = server * 1_000_000 / time.Duration(events)
	r.generator = generator * 1_000_000 / time.Duration(events)
}

// prepare looks for the programs that the subjects need.
func (c *config) prepare(ctx context.Context, chosen []subject) error {
	for _, s := range chosen {
		switch kind, _, _ := strings.Cut(s.name, "/"); kind {
		case "redis":
			if _, err := exec.LookPath(c.redis); err != nil {
				return fmt.Errorf("%s needs Redis 7: apt-get install -y redis-server, or name the other subjects (%w)", s.name, err)
			}
		case "crest":
			if c.bin != "" || !strings.HasPrefix(s.name, "crest/http") {
				continue
			}
			dir, err := os.MkdirTemp("", "crest-peers")
			if err != nil {
				return err
			}
			if c.bin, err = bench.Build(ctx, dir); err != nil {
				return errors.Join(err, os.RemoveAll(dir))
			}
			c.built = dir
		}
	}
	return nil
}

// alone runs f on one core, with the heap of whatever ran before swept, and
// puts everything back.
func alone(f func() error) error {
	debug.FreeOSMemory()
	return onCores(1, f)
}

// together is alone, on all cores.
func together(f func() error) error {
	debug.FreeOSMemory()
	return onCores(runtime.NumCPU(), f)
}

func onCores(n int, f func() error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	return f()
}

// heap is the bytes in use by live objects.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
