package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

func TestStreams(t *testing.T) {
	c, streams, err := parse([]string{"-events", "1000", "-span", "10h"}, io.Discard)
	if err != nil || !slices.Equal(streams, workload.MixNames) {
		t.Fatalf("without an argument: %v, %v", streams, err)
	}
	for _, name := range streams {
		lines, err := c.lines(name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.lines(name)
		if err != nil || !bytes.Equal(bytes.Join(lines, nil), bytes.Join(again, nil)) {
			t.Errorf("%s: the same seed gives another stream (%v)", name, err)
		}
		var e truth.Events
		for _, l := range lines {
			if err := e.AddLine(l); err != nil {
				t.Fatal(err)
			}
		}
		if hours := (e.Latest() - workload.DefaultConfig().Start) / messages.Hour; e.Len() != 1000 || hours < 5 || hours > 20 {
			t.Errorf("%s: %d events over %d h, want 1000 over about 10 h", name, e.Len(), hours)
		}
	}
	file := filepath.Join(t.TempDir(), "two.ndjson")
	if err := os.WriteFile(file, []byte("{}\n{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := c.lines(file); err != nil || len(lines) != 2 {
		t.Errorf("a file of two lines: %q, %v", lines, err)
	}
	if _, err := c.lines("loud"); err == nil {
		t.Error("neither a file nor a stream, and no error")
	}
}

// made is a course as if it had been run, with one budget.
func made() *course {
	v := newSurvey("1/10")
	any, in := messages.Cell{}, messages.Cell{Region: "IN"}
	for _, w := range messages.StandardWindows {
		v.at(w, any).score.add(&finding{recall: 1, strict: 0.5, certified: 3, rows: 4, intervals: []interval{{5, 5}, {5, 10}}})
		v.at(w, in).score.add(&finding{recall: 0.5, strict: 0.5, certified: 4, rows: 4, exact: true})
		for i := range counters.Kinds {
			v.at(w, any).peers[i].add(&finding{recall: 0.25, certified: -1, rows: 4})
		}
	}
	v.note(&v.at(messages.Window1h, any).score, "board 1h of any", truth.Verdict{MaxError: 7})
	v.note(&v.at(messages.Window1h, in).score, "counts 1h of region IN", truth.Verdict{False: []string{"two", "lies"}})
	v.miss(miss{what: "1h of region IN", events: 9, recall: 0.5, rows: 4, last: 2, topics: 6})
	return &course{config: &config{memory: []string{"1/10"}, share: 7, shards: 4, k: 4}, name: "x", surveys: []*survey{v}}
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	s := made()
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1h             2  1.0000         -  0.5000     -  0.5000  0.5000     0.8750  0.5000          5    5          7       2      2\n",
		"false: counts 1h of region IN: two\n",
		"7 of 14 boards found less than 0.99",
		"1h of region IN after 9 events: recall 0.50 of 4 rows, the last of them with 2; 6 topics\n",
		"1h      HeavyKeeper       0.2500  0.2500          -       -",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if n := s.surveys[0].all().lies; n != 2 {
		t.Errorf("%d lies", n)
	}
}

// TestWorstMissesAreKept whatever the order in which they come.
func TestWorstMissesAreKept(t *testing.T) {
	v := newSurvey("")
	for _, i := range rand.Perm(20) {
		v.miss(miss{recall: float64(i)})
	}
	for i, m := range v.misses {
		if m.recall != float64(i) || len(v.misses) != maxMisses {
			t.Fatalf("kept %+v", v.misses)
		}
	}
}

// TestReport: tables and plots are written, and the plots are XML.
func TestReport(t *testing.T) {
	s, dir := made(), t.TempDir()
	s.report = dir
	if err := s.writeReport([]*course{s, made()}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "accuracy.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.plots([]*course{s}) {
		if !strings.Contains(string(text), "]("+name+")") {
			t.Errorf("%s is not shown", name)
		}
		svg, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); err == nil; {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) || bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("%!")) {
			t.Errorf("%s: %v\n%s", name, err, svg)
		}
	}
	for _, row := range []string{"| x      |   1/10 |", "| x      |   1/10 | HeavyKeeper      |"} {
		if !strings.Contains(string(text), row) {
			t.Errorf("no %q in\n%s", row, text)
		}
	}
}

// TestCourse sends a little stream through tables of two budgets: nothing is
// false, and with all the memory it takes nothing is missing either.
func TestCourse(t *testing.T) {
	c, _, err := parse(strings.Fields("-tables -memory 1/10,1/1 -events 3000 -topics 500 -span 3h -moments 2 -cells 1 -largest"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.compare(t.Context(), "flash")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range s.surveys {
		all := v.all()
		if all.lies > 0 || all.boards < 4*len(messages.StandardWindows) || all.counts != 20*2*4*len(messages.StandardWindows) || v.held.Engine() == 0 {
			t.Errorf("memory %s: %d false in %d boards and %d counts, held %+v: %q", v.memory, all.lies, all.boards, all.counts, v.held, v.untrue)
		}
		if want := s.need.bytes / []int64{10, 1}[i]; v.bytes != want {
			t.Errorf("memory %s is %d bytes, want %d", v.memory, v.bytes, want)
		}
	}
	if s.sent != 3000 || s.wanted == 0 || s.wanted > s.rows {
		t.Errorf("%d events, %d of %d rows", s.sent, s.wanted, s.rows)
	}
}

func TestRecordedStreams(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "reddit.ndjson.zst"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, streams, err := parse([]string{"-report", dir, "-data", dir}, io.Discard)
	if err != nil || !c.tables || !c.largest || len(c.memory) != 3 || len(streams) != len(workload.MixNames)+1 || streamName(streams[len(streams)-1]) != "reddit" {
		t.Errorf("%v, %v, %+v", streams, err, c)
	}
	if _, _, err := parse([]string{"-data", t.TempDir()}, io.Discard); err == nil {
		t.Error("an empty folder was taken")
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"-k 0", "-k 1001", "-moments 0", "-events 0", "-span 1ms", "-counts 0", "-addr http://127.0.0.1:1 steady flash",
		"-addr http://127.0.0.1:1 -memory 64MiB steady", "-memory 64MiB,32MiB", "-memory 64MB", "-memory 64MiB,", "-memory 1/10", "-tables -memory 1/10,64MiB,1/2", "-tables -memory 2/1", "-tables -memory 1/2,1/10", "-share -1", "-shards 0", "-report accuracy_test.go", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
