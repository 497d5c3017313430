package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

func TestSurveyPrintsWhatIsFalse(t *testing.T) {
	s := survey{name: "x", windows: map[messages.Window]*score{}}
	for _, w := range messages.StandardWindows {
		s.note(w, "board", truth.Verdict{MaxError: 7})
		s.windows[w].add(&finding{recall: 0.5, certified: 3, rows: 4, widths: []uint64{0, 5}})
	}
	s.note(messages.Window1h, "counts", truth.Verdict{False: []string{"two", "lies"}})
	var out strings.Builder
	if err := s.print(&out, 7); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1h           1  0.5000  0.5000     0.7500  0.0000          5    5          7      2       0\n", "false: counts: lies\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if s.lies() != 2 {
		t.Errorf("%d lies", s.lies())
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{"-k 0", "-k 1001", "-moments 0", "-events 0", "-span 1ms", "-counts 0", "-addr http://127.0.0.1:1 steady flash",
		"-addr http://127.0.0.1:1 -memory 64MiB steady", "-memory 64MiB,32MiB", "-memory 64MB", "-memory 64MiB,", "-memory 1/10", "-tables -memory 1/10,64MiB,1/2", "-tables -memory 2/1", "-tables -memory 1/2,1/10", "-share -1", "-shards 0", "-svg x", "-nonsense"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
