package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
)

// stage is a part of the way of an event.
type stage struct {
	name string
	// floor is what the machine needs for it, as an estimate; "" where none is
	// stated.
	floor string
	// of are parts of the names of functions that belong to it.
	of []string
}

// stages in the order of an event's way.
var stages = []stage{
	{"garbage collector", "", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	{"read the log", "", []string{"bench/tape."}},
	{"decode", "", []string{"messages.(*Record).ReadFrom", "messages.(*decoder)"}},
	{"hash", "5", []string{"siphash.Hash(", "siphash.Hash\x00", "actors.(*hashes).topic"}},
	{"names of categories, regions", "", []string{"window.(*Names).Intern", "actors.intern"}},
	{"combine", "15", []string{"actors.(*combiner)"}},
	{"digest", "", []string{"messages.(*Digest)", "siphash.Hash128"}},
	{"fold: find rows", "", []string{"window.(*Table).resolve"}},
	{"fold: new rows", "", []string{"window.(*rows).add", "window.(*rows).place", "window.(*Table).newTopic", "window.(*Table).newRegional", "window.(*Table).family", "window.(*topics).add", "window.(*Table).fork", "window.(*Table).addChild"}},
	{"candidates", "", []string{"window.(*Table).notice", "window.(*Table).offer", "window.(*Table).take", "window.(*Table).age", "window.(*Table).review", "window.(*Table).trim"}},
	{"fold: count", "10", []string{"window.(*counting)", "window.(*Table).count"}},
	{"slides", "", []string{"window.(*Table).slide", "window.(*Table).expire", "window.(*Table).subtract", "window.(*timeline)"}},
	{"tiers", "", []string{"window.(*Table).work", "window.(*merge)", "window.(*Table).finishMerge"}},
	{"rows that leave", "", []string{"window.(*Table).shrink", "window.(*Table).portion", "window.(*Table).leave", "window.(*Table).noteHidden"}},
	{"boards", "", []string{"window.(*Table).Top"}},
	{"accounts", "", []string{"window.(*Table).Stats", "actors.(*progress)"}},
	{"rest of ingest and shard", "", []string{"crest/actors."}},
	{"actors, scheduler", "", []string{""}},
}

// sample is a stack, innermost function first, and how long it was seen.
type sample struct {
	stack []string
	time  time.Duration
}

// stageOf is the index in stages of a sample. The collector's functions are
// called from anywhere, so they are looked for first.
func (s *sample) stageOf() int {
	for _, f := range s.stack {
		if stages[0].has(f) {
			return 0
		}
	}
	for _, f := range s.stack {
		for i := 1; i < len(stages)-1; i++ {
			if stages[i].has(f) {
				return i
			}
		}
	}
	return len(stages) - 1
}

func (s *stage) has(function string) bool {
	for _, part := range s.of {
		if strings.Contains(function+"\x00", part) {
			return true
		}
	}
	return false
}

// readProfile has the profile's stacks written out by go tool pprof.
func readProfile(ctx context.Context, file string) ([]sample, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-unit=us", file)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read profile: %w\n%s", err, said.String())
	}
	return parseTraces(bytes.NewReader(out))
}

// parseTraces reads stacks: the first line of each has its time in front.
func parseTraces(r io.Reader) ([]sample, error) {
	var samples []sample
	fresh := false // the next line begins a stack
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // names of generic functions are long
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "---"):
			fresh = true
		case fresh:
			text, function, _ := strings.Cut(strings.TrimSpace(line), " ")
			if text == "" {
				continue
			}
			us, err := strconv.ParseFloat(strings.TrimSuffix(text, "us"), 64)
			if err != nil {
				return nil, fmt.Errorf("read profile: line %q has no time", line)
			}
			samples = append(samples, sample{[]string{strings.TrimSpace(function)}, time.Duration(us * float64(time.Microsecond))})
			fresh = false
		case len(samples) > 0 && strings.TrimSpace(line) != "":
			s := &samples[len(samples)-1]
			s.stack = append(s.stack, strings.TrimSuffix(strings.TrimSpace(line), " (inline)"))
		}
	}
	return samples, lines.Err()
}

// report prints the budget of one event.
func (c *config) report(w io.Writer, samples []sample, used time.Duration, counted int) error {
	var all time.Duration
	each := make([]time.Duration, len(stages))
	for i := range samples {
		each[samples[i].stageOf()] += samples[i].time
		all += samples[i].time
	}
	perEvent := float64(used.Nanoseconds()) / float64(counted)
	t := &bench.Table{
		Title: fmt.Sprintf("the budget of one event, ns: %s events at %s a second of their own time, %d shards, one core",
			bench.Number(float64(counted)), bench.Number(c.rate), c.partitions),
		Head: []string{"stage", "ns", "share %", "floor (estimate)"},
	}
	for i, s := range stages {
		share := float64(each[i]) / float64(max(1, all))
		t.Add(s.name, bench.Number(share*perEvent), bench.Number(100*share), s.floor)
	}
	t.Add("together", bench.Number(perEvent), "100", "30")
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d samples: a stage of 1 %% is known to about %.1f %%.\n", int(all/(10*time.Millisecond)), 100/float64(max(1, all/(10*time.Millisecond)))*3)
	return err
}
