package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/client"
)

// config is what to drive; its flags say the rest.
type config struct {
	bin, flags string
	memory     string
	events     uint64
	topics     uint64
	seed       uint64
	counts     int
	pairs      int
	regions    int
	stops      int
}

// scenario is a stream and the memory it is sent through.
type scenario struct {
	name           string
	memory         string
	events, topics uint64
	riser          bool
}

var scenarios = []scenario{
	{name: "wide", memory: "512MiB", events: 20_000_000, topics: 3_000_000},
	{name: "small", memory: "64MiB", events: 6_000_000, topics: 600_000},
	{name: "riser", memory: "64MiB", events: 30_000_000, riser: true},
}

func main() {
	bench.Main("scale", func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error) {
		cfg, chosen, err := parse(args, w)
		return func(ctx context.Context, w io.Writer) error { return cfg.runAll(ctx, chosen, w) }, err
	})
}

func parse(args []string, w io.Writer) (*config, []scenario, error) {
	c := &config{}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&c.bin, "bin", "", "`path` of the crest binary to start; empty: build this checkout")
	f.StringVar(&c.flags, "flags", "", "further `flags` of crest serve, separated by blanks")
	f.StringVar(&c.memory, "memory", "", "`budget` in place of the scenario's")
	f.Uint64Var(&c.events, "events", 0, "events in place of the scenario's")
	f.Uint64Var(&c.topics, "topics", 0, "topics in place of the scenario's (riser: as many as events)")
	f.Uint64Var(&c.seed, "seed", 1, "of the stream and the choices")
	f.IntVar(&c.counts, "counts", 20_000, "random topics counted per window")
	f.IntVar(&c.pairs, "pairs", 2000, "topics in regions counted per window")
	f.IntVar(&c.regions, "regions", 20, "largest regions whose boards are compared")
	f.IntVar(&c.stops, "stops", 20, "points along the way at which the node is looked at")
	f.Usage = func() {
		fmt.Fprintln(w, "usage: scale [flags] [wide|small|riser ...]")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	chosen, err := c.choose(f.Args())
	return c, chosen, err
}

// choose finds the scenarios named, all if none is, and checks the flags.
func (c *config) choose(names []string) ([]scenario, error) {
	chosen := slices.Clone(scenarios)
	if len(names) > 0 {
		chosen = nil
	}
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("scenario %q: want wide, small or riser", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	for i := range chosen {
		s := &chosen[i]
		if c.memory != "" {
			s.memory = c.memory
		}
		if c.events > 0 {
			s.events = c.events
		}
		if c.topics > 0 {
			s.topics = c.topics
		}
		if s.riser {
			s.topics = 0
		}
		if s.events < 2*s.topics || s.events < 1000 || s.events+s.topics > 1<<31 {
			return nil, fmt.Errorf("%s: %d events of %d topics: want at least 1,000, two per topic, and less than 2^31", s.name, s.events, s.topics)
		}
		if _, err := bench.ParseSize(s.memory); err != nil {
			return nil, err
		}
	}
	switch {
	case c.counts < 0 || c.pairs < 0 || c.regions < 0 || c.regions > 200:
		return nil, fmt.Errorf("-counts %d, -pairs %d, -regions %d: want at least 0, at most 200 regions", c.counts, c.pairs, c.regions)
	case c.stops < 1:
		return nil, fmt.Errorf("-stops %d: want at least 1", c.stops)
	}
	return chosen, nil
}

// runAll runs the scenarios one after the other, each with a fresh node.
func (c *config) runAll(ctx context.Context, chosen []scenario, w io.Writer) error {
	if c.bin == "" {
		dir, err := os.MkdirTemp("", "crest-scale")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if c.bin, err = bench.Build(ctx, dir); err != nil {
			return err
		}
	}
	var failed []string
	for i := range chosen {
		ok, err := c.one(ctx, &chosen[i], w)
		if err != nil {
			return fmt.Errorf("%s: %w", chosen[i].name, err)
		}
		if !ok {
			failed = append(failed, chosen[i].name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("false statements or too much memory: %s", strings.Join(failed, ", "))
	}
	return nil
}

// run is one scenario under way.
type run struct {
	*config
	stream   *stream
	node     *bench.Node
	client   *client.Client
	riser    *riserWatch // nil: there is none
	progress []progress
	held     string // memory by kind, at the end
	untrue   int
	samples  []string // the first maxSamples
}

// one runs a scenario and says whether it showed what it is to show.
func (c *config) one(ctx context.Context, s *scenario, w io.Writer) (ok bool, err error) {
	r := &run{config: c}
	if s.riser {
		r.stream, r.riser = newRiser(s.events, c.seed), &riserWatch{}
	} else {
		r.stream = newZipf(s.events, s.topics, c.seed, 1.07)
	}
	data, err := os.MkdirTemp("", "crest-scale")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(data)
	flags := append([]string{"--clock", "event", "--log-level", "warn", "--memory", s.memory}, strings.Fields(c.flags)...)
	if r.node, err = bench.Start(c.bin, data, flags...); err != nil {
		return false, err
	}
	defer r.node.Kill()
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	addr, err := r.node.Ready(ready)
	if err != nil {
		return false, err
	}
	if r.client, err = client.New(addr); err != nil {
		return false, err
	}
	defer r.client.Close()
	if err := r.drive(ctx); err != nil {
		return false, err
	}
	answers, err := r.check(ctx)
	if err != nil {
		return false, err
	}
	return r.report(w, s, answers)
}

// drive sends the stream and looks at the node along the way.
func (r *run) drive(ctx context.Context) error {
	since, sent := time.Now(), uint64(0)
	for i := range uint64(r.stops) {
		to := r.stream.events * (i + 1) / uint64(r.stops)
		if err := r.send(ctx, sent, to); err != nil {
			return err
		}
		sent = to
		if err := r.note(ctx, sent, since); err != nil {
			return err
		}
		if r.riser != nil {
			if err := r.riser.look(ctx, r, sent); err != nil {
				return err
			}
		}
	}
	return nil
}

// report prints what was found; ok: nothing was false, and the memory enough.
func (r *run) report(w io.Writer, s *scenario, answers *bench.Table) (ok bool, err error) {
	budget, err := bench.ParseSize(s.memory)
	if err != nil {
		return false, err
	}
	allowed := budget + budget/4 + 150<<20
	t := &bench.Table{
		Title: fmt.Sprintf("%s: %d events, %d topics, memory %s (resident at most %s MB)", s.name, r.stream.events, r.stream.topics, s.memory, bench.Number(float64(allowed)/1e6)),
		Head:  []string{"events", "seconds", "events/s", "CPU µs/event", "resident MB", "peak MB", "engine MB"},
	}
	peak := int64(0)
	for _, p := range r.progress {
		peak = max(peak, p.usage.Peak)
		number := func(v float64) string { return bench.Number(v) }
		t.Add(number(float64(p.events)), number(p.took.Seconds()), number(float64(p.events)/p.took.Seconds()), number(float64(p.usage.CPU.Microseconds())/float64(p.events)),
			number(float64(p.usage.Resident)/1e6), number(float64(p.usage.Peak)/1e6), number(float64(p.engine)/1e6))
	}
	tables := []*bench.Table{t, answers}
	ok = r.untrue == 0 && peak <= allowed
	if r.riser != nil {
		tables = append(tables, r.riser.table(r.progress))
		ok = ok && r.riser.violated == 0 && r.riser.late == 0
	}
	for _, t := range tables {
		if _, err := t.WriteTo(w); err != nil {
			return false, err
		}
	}
	if _, err := fmt.Fprintf(w, "in the end: %s\n\n", r.held); err != nil {
		return false, err
	}
	for _, text := range r.samples {
		if _, err := fmt.Fprintln(w, "false:", text); err != nil {
			return false, err
		}
	}
	return ok, nil
}
