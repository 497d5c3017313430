package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
)

// config is what to compare; its flags say the rest.
type config struct {
	args      []string
	addr, bin string
	flags     string
	tables    bool
	shards    int
	memory    []string // budgets; one "": the node's default
	share     int
	report    string
	k         int
	cells     int
	largest   bool
	moments   int
	counts    int
	seed      uint64
	events    int
	topics    int
	span      time.Duration
}

// reportMemory are the budgets of a report, unless others are named.
const reportMemory = "1/100,1/10,1/2"

// recorded are the streams that -data adds, where they are there.
var recorded = []string{"retail", "reddit", "wikipedia", "youtube-2017", "youtube-2020"}

func parse(args []string, w io.Writer) (*config, []string, error) {
	c := &config{args: args}
	f := flag.NewFlagSet("accuracy", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&c.addr, "addr", "", "`address` of an empty node with --clock event; empty: start one for each stream")
	f.StringVar(&c.bin, "bin", "", "`path` of the crest binary to start; empty: build this checkout")
	f.StringVar(&c.flags, "flags", "", "further `flags` of crest serve, separated by blanks")
	memory := f.String("memory", "", "`budgets` of crest, such as 64MiB,128MiB, ascending: each stream is sent to a node of each; with -tables also shares of what the stream needs, such as 1/100,1/10")
	f.BoolVar(&c.tables, "tables", false, "compare tables in this process instead of a node")
	f.IntVar(&c.shards, "shards", 4, "with -tables: how many; each has its own fixed costs")
	f.IntVar(&c.share, "share", 7, "with -memory: lay peers beside, each board's with 1/`n` of it (7 windows); 0: none")
	f.StringVar(&c.report, "report", "", "`folder` for tables in Markdown and plots, such as bench/results; without -memory it means -tables -largest -memory "+reportMemory)
	data := f.String("data", os.Getenv("CREST_DATA"), "`folder` of recorded streams ("+strings.Join(recorded, ", ")+", as NAME.ndjson.zst) to add where no stream is named")
	f.IntVar(&c.k, "k", 100, "rows of a board")
	f.IntVar(&c.cells, "cells", 5, "categories, regions and pairs at each moment")
	f.BoolVar(&c.largest, "largest", false, "those with the most events, instead of random ones")
	f.IntVar(&c.moments, "moments", 5, "moments of a stream, its end included")
	f.IntVar(&c.counts, "counts", 20, "counts of single topics per window and cell")
	f.Uint64Var(&c.seed, "seed", 1, "of the choices, and of generated streams")
	f.IntVar(&c.events, "events", 200_000, "events of a generated stream")
	f.IntVar(&c.topics, "topics", 20_000, "topics of a generated stream")
	f.DurationVar(&c.span, "span", 48*time.Hour, "stream time of a generated stream")
	f.Usage = func() {
		fmt.Fprintf(w, "usage: accuracy [flags] [FILE.ndjson[.zst]|%s ...]\n", strings.Join(workload.MixNames, "|"))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	if c.report != "" && *memory == "" {
		c.tables, c.largest, *memory = true, true, reportMemory
	}
	c.memory = strings.Split(*memory, ",")
	streams := f.Args()
	if len(streams) == 0 {
		streams = append(streams, workload.MixNames...)
		found, err := recordedIn(*data)
		if err != nil {
			return nil, nil, err
		}
		streams = append(streams, found...)
	}
	return c, streams, c.validate(streams)
}

// recordedIn are the recorded streams of a folder.
func recordedIn(dir string) (files []string, err error) {
	if dir == "" {
		return nil, nil
	}
	for _, name := range recorded {
		file := filepath.Join(dir, name+".ndjson.zst")
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("-data: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("-data %s: none of %s is there", dir, strings.Join(recorded, ", "))
	}
	return files, nil
}

func (c *config) validate(streams []string) error {
	switch {
	case c.k < 1 || c.k > 1000:
		return fmt.Errorf("-k %d: want 1 to 1000", c.k)
	case c.counts < 1 || c.counts > 1000:
		return fmt.Errorf("-counts %d: want 1 to 1000", c.counts)
	case c.cells < 0 || c.moments < 1 || c.events < 1:
		return fmt.Errorf("-cells %d, -moments %d, -events %d: want at least 0, 1, 1", c.cells, c.moments, c.events)
	case c.span < time.Second:
		return fmt.Errorf("-span %v: want at least 1s", c.span)
	case c.addr != "" && (len(streams) > 1 || c.memory[0] != ""):
		return fmt.Errorf("%d streams, memory %q: the node at -addr takes one stream and keeps its memory", len(streams), c.memory)
	case c.share < 0:
		return fmt.Errorf("-share %d: want 0 or more", c.share)
	case c.tables && c.addr != "":
		return errors.New("-tables: there is no node at -addr then")
	case c.shards < 1 || c.shards > 64:
		return fmt.Errorf("-shards %d: want 1 to 64", c.shards)
	}
	if c.report != "" {
		if at, err := os.Stat(c.report); err != nil || !at.IsDir() {
			return fmt.Errorf("-report %s: want a folder that is there", c.report)
		}
	}
	last := 0.0
	for _, m := range c.memory {
		if m == "" && len(c.memory) == 1 {
			break
		}
		n, share, err := budget(m)
		switch {
		case err != nil:
			return fmt.Errorf("-memory: %w", err)
		case share && !c.tables:
			return fmt.Errorf("-memory %s: shares of the need are for -tables", m)
		case n <= last:
			return fmt.Errorf("-memory %v: want ascending budgets, all sizes or all shares", c.memory)
		}
		last = n
	}
	return nil
}

// budget reads a size, or a share such as 1/10 of what a stream needs.
func budget(text string) (n float64, share bool, err error) {
	if part, whole, ok := strings.Cut(text, "/"); ok {
		p, err1 := strconv.ParseFloat(part, 64)
		w, err2 := strconv.ParseFloat(whole, 64)
		if err1 != nil || err2 != nil || !(p > 0 && p <= w) {
			return 0, true, fmt.Errorf("share %q: want one such as 1/10", text)
		}
		return p / w, true, nil
	}
	bytes, err := bench.ParseSize(text)
	return float64(bytes), false, err
}
