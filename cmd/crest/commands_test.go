package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// want checks exit code and texts of an outcome.
func (o outcome) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d: %s", o.code, code, o.err)
	}
	for _, text := range texts {
		if !strings.Contains(o.out+o.err, text) {
			t.Errorf("%q does not say %q", o.out+o.err, text)
		}
	}
}

// soon repeats a question until the answer says a text: what is acknowledged
// is durable, and counted a moment later.
func soon(t *testing.T, text string, args ...string) {
	t.Helper()
	eventually(t, func() error {
		if got := crest(t, args...); !strings.Contains(got.out, text) {
			return fmt.Errorf("%q does not say %q", got.out+got.err, text)
		}
		return nil
	})
}

// background is a command line that runs until it is stopped.
type background struct {
	out, err *lockedBuffer
	cancel   context.CancelFunc
	ended    chan int
}

func inBackground(t *testing.T, args ...string) *background {
	ctx, cancel := context.WithCancel(t.Context())
	r := &background{&lockedBuffer{}, &lockedBuffer{}, cancel, make(chan int, 1)}
	go func() { r.ended <- run(ctx, args, world{in: strings.NewReader(""), out: r.out, err: r.err}) }()
	return r
}

// says waits until it has said all the texts.
func (r *background) says(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, func() error {
		said := r.out.String() + r.err.String()
		for _, text := range texts {
			if !strings.Contains(said, text) {
				return &missing{text, said}
			}
		}
		return nil
	})
}

// stop does what SIGTERM does, and waits for the end.
func (r *background) stop(t *testing.T) outcome {
	t.Helper()
	r.cancel()
	select {
	case code := <-r.ended:
		return outcome{code, r.out.String(), r.err.String()}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
		return outcome{}
	}
}

const eventsCSV = `topic,timestamp,count,region,category
a,2024-05-01T10:00:00Z,3,IN,music
b,2024-05-01T10:01:00Z,,US,
"c, d",2024-05-01T10:02:00Z,2,IN,music
e,yesterday,,,
a,2024-05-01T10:03:00Z,,,
`

func TestCommandsAgainstANode(t *testing.T) {
	data := filepath.Join(t.TempDir(), "with space")
	n := serveNode(t, data, "--clock", "event")
	if line := n.out.String(); !strings.Contains(line, fmt.Sprintf("data=%q", data)) || !strings.Contains(line, " node=") || !strings.Contains(line, " version=") {
		t.Errorf("ready line is %q", line)
	}
	file := write(t, "events.csv", eventsCSV)
	at := []string{"--addr", n.addr}
	ask := func(args ...string) outcome { t.Helper(); return crest(t, append(args, at...)...) }

	rejects := filepath.Join(t.TempDir(), "rejects")
	ask("ingest", file, "--rejects", rejects, "--batch", "2").want(t, 1, "sent 5 events, 1 rejected", "line 5: timestamp", "1 events were rejected", rejects)
	content, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	var rejected struct {
		Line          int
		Reason, Event string
	}
	if err := json.Unmarshal(content, &rejected); err != nil || rejected.Line != 5 || !strings.Contains(rejected.Event, "yesterday") || rejected.Reason == "" {
		t.Errorf("rejected: %s, %v", content, err)
	}
	ask("ingest", file).want(t, 0, "sent completely", "nothing to do")

	soon(t, " 7 events", "top", "--window", "all", "--addr", n.addr)
	ask("top", "--window", "1h").want(t, 0, "top 10 · last 1h · everything", "a", "c, d", "57.1%")
	ask("top", "--window", "1h", "--region", "IN", "--category", "music", "-k", "1").want(t, 0, "top 1", "music in IN", "60.0%")
	var board api.Board
	if err := json.Unmarshal([]byte(ask("top", "-o", "json").out), &board); err != nil || len(board.Topics) != 3 || board.Topics[0].Topic != "a" {
		t.Errorf("got %+v, %v", board, err)
	}
	rows, err := csv.NewReader(strings.NewReader(ask("top", "-o", "csv").out)).ReadAll()
	if err != nil || len(rows) != 4 || strings.Join(rows[2], "|") != "2|c, d|2|2|2|true" {
		t.Errorf("got %q, %v", rows, err)
	}

	ask("count", "c, d", "--window", "all").want(t, 0, "count   2", "28.6% of 7")
	ask("count", "never", "--window", "1h", "-o", "csv").want(t, 0, "never,1h,,,0,0,0,true,7")
	ask("count", "a", "--region", "IN", "--window", "1h", "-o", "json").want(t, 0, `"count_estimate": 3`, `"region": "IN"`)
	ask("history", "a", "--window", "10m", "--granularity", "1m").want(t, 0, "a · last 10m by 1m", "4 events", "█")
	ask("history", "a", "--window", "10m", "--granularity", "1m", "-o", "csv").want(t, 0, "2024-05-01T10:00:00Z,3,3,3")
	ask("history", "a", "--window", "24h", "--granularity", "5s").want(t, 1, "granularity")
	ask("status").want(t, 0, "ready", "clock event", "shard")
	ask("status", "-o", "csv").want(t, 0, "partition,logged", "state_digest")

	// The node goes on while its log is read.
	crest(t, "log", "ls", "--data", data).want(t, 0, "events", "16 partitions, clock event")
	crest(t, "log", "ls", "--data", data, "-o", "csv").want(t, 0, "file,bytes")
	crest(t, "log", "verify", "--data", data).want(t, 0, "4 events", "the log is sound")
	cat := crest(t, "log", "cat", "--data", data, "--topic", "a")
	lines := strings.Split(strings.TrimSpace(cat.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("records of a: %q", lines)
	}
	if !strings.Contains(lines[0], `"count":3`) { // requests go at the same time, in any order
		lines[0] = lines[1]
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &record); err != nil || record["topic"] != "a" || record["count"] != 3.0 || record["timestamp"] != "2024-05-01T10:00:00Z" || record["category"] != "music" {
		t.Errorf("record %s, %v", lines[0], err)
	}
	key, _ := record["idempotency_key"].(string)
	if got := strings.Count(crest(t, "log", "cat", "--data", data, "--key", key).out, "\n"); key == "" || got != 2 {
		t.Errorf("%d records with key %q, want the block's 2", got, key)
	}
	if got := strings.Count(crest(t, "log", "cat", "--data", data, "--limit", "3").out, "\n"); got != 3 {
		t.Errorf("%d lines with --limit 3", got)
	}

	if stopped := n.stop(); stopped.code != 0 || stopped.err != "" {
		t.Errorf("stopped with %d, %q", stopped.code, stopped.err)
	}
	crest(t, "serve", "--data", data, "--http", "127.0.0.1:0", "--partitions", "4").want(t, 1, "16 partitions, not 4")
	crest(t, "serve", "--data", data, "--http", "127.0.0.1:0", "--clock", "wall").want(t, 1, "clock event, not wall")
}

func TestSettingsOfTheLogChangeOnlyWhenGiven(t *testing.T) {
	data := t.TempDir()
	controls := func() (settings []string) {
		for line := range strings.Lines(crest(t, "log", "cat", "--data", data, "--frames").out) {
			var frame struct {
				Frame    string
				Settings json.RawMessage
			}
			if err := json.Unmarshal([]byte(line), &frame); err != nil {
				t.Fatal(err)
			}
			if frame.Frame == "control" {
				settings = append(settings, string(frame.Settings))
			}
		}
		return settings
	}
	serveNode(t, data, "--max-regions", "7", "--partitions", "2").stop().want(t, 0)
	serveNode(t, data).stop().want(t, 0)
	if got := controls(); len(got) != 0 {
		t.Errorf("a log made with its settings, then served without any, has changes %s", got)
	}
	serveNode(t, data, "--dedup-window", "20m").stop().want(t, 0)
	if got := controls(); len(got) != 1 || !strings.Contains(got[0], `"max_regions":7`) || !strings.Contains(got[0], `"dedup_window":"20m0s"`) {
		t.Errorf("got changes %s", got)
	}
}

func TestReplay(t *testing.T) {
	n := serveNode(t, t.TempDir())
	file := write(t, "old.ndjson", `{"topic":"old","timestamp":"2020-01-01T00:00:00Z"}
{"topic":"late","timestamp":"2020-01-01T00:10:00Z"}
`)
	csv := func(args ...string) []string { return append(args, "--addr", n.addr, "-o", "csv") }
	crest(t, "replay", file, "--addr", n.addr, "--rebase", "now").want(t, 0, "sent 2 events, 0 rejected")
	soon(t, "1,late,1", csv("top", "--window", "5m")...)
	soon(t, "1,late,1,1,1,true\n2,old,1", csv("top", "--window", "1h")...)
	soon(t, "old,5m,,,0,0,0", csv("count", "old", "--window", "5m")...)
	crest(t, "replay", file, "--addr", n.addr, "--rebase", "now", "--speed", "6000x").want(t, 0, "sent 2 events")
	soon(t, "old,5m,,,1,1,1", csv("count", "old", "--window", "5m")...)
	stdin := crestIn(t.Context(), `{"topic":"stdin"}`, []string{"CREST_ADDR=" + n.addr}, "replay", "-", "--format", "ndjson", "--rate", "1000")
	stdin.want(t, 0, "sent 1 events")
	soon(t, "stdin,5m,,,1,1,1", csv("count", "stdin", "--window", "5m")...)
}

func TestDemo(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	r := inBackground(t, "demo", "--rate", "2000", "--http", "127.0.0.1:0")
	r.says(t, "crest demo at http://127.0.0.1:", "events/s", "visible in", "viral now", "top 10 · last 5m")
	got := r.stop(t)
	got.want(t, 0, "sent ")
	if strings.Contains(got.out, "\x1b") {
		t.Error("escape sequences where there is no terminal")
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	data := t.TempDir()
	crest(t, "demo", "--for", "500ms", "--rate", "2000", "--http", "127.0.0.1:0", "--data", data).want(t, 0)
	crest(t, "log", "verify", "--data", data).want(t, 0, "the log is sound")
}

func TestDemoTakesAFreeAddressIfNobodyAskedForOne(t *testing.T) {
	n := serveNode(t, t.TempDir())
	out := &lockedBuffer{}
	d := &demo{world: world{out: out, err: out}, rate: 100, length: 100 * time.Millisecond, data: t.TempDir(), http: n.addr}
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "http://127.0.0.1:") || strings.Contains(s, n.addr) {
		t.Errorf("got %q", s)
	}
}
