package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crestdb/crest/cmd/crest/settings"
)

// outcome is what a command line has done.
type outcome struct {
	code     int
	out, err string
}

// crest runs one command line in this process.
func crest(t *testing.T, args ...string) outcome {
	t.Helper()
	return crestIn(t.Context(), "", nil, args...)
}

func crestIn(ctx context.Context, in string, environ []string, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(ctx, args, world{in: strings.NewReader(in), out: &out, err: &err, environ: environ})
	return outcome{code, out.String(), err.String()}
}

func TestWrongUsageIsOneLineAndExitCode2(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"srve", []string{`no command "srve"`, "did you mean serve?", "crest --help"}},
		{"nonsense", []string{`no command "nonsense"`, "crest --help"}},
		{"log lst", []string{`no command "log lst"`, "ls", "crest log --help"}},
		{"--nope", []string{"--nope", "crest --help"}},
		{"top --nope", []string{"--nope", "crest top --help"}},
		{"top extra", []string{`takes no argument, got "extra"`}},
		{"top -k 0", []string{"--top 0", "1 to 1000"}},
		{"top -k 1001", []string{"--top 1001", "1 to 1000"}},
		{"top -k many", []string{"many"}},
		{"top --window 31d", []string{`--window "31d"`, "10s to 30d"}},
		{"top --window 0s", []string{`--window "0s"`, "10s to 30d"}},
		{"top --rank growth", []string{`--rank "growth"`, "count"}},
		{"top -o xml", []string{`--output "xml"`, "table, json or csv"}},
		{"top --watch -o json", []string{"--watch", "--output json"}},
		{"top --watch --interval 1ms", []string{"--interval", "100ms"}},
		{"top --interval soon", []string{"--interval", "30s"}},
		{"top --addr ftp://x", []string{"ftp://x", "http://HOST:PORT"}},
		{"count", []string{"TOPIC is missing", "crest count --help"}},
		{"count two words", []string{"one TOPIC", "quote"}},
		{"count x --window abc", []string{`--window "abc"`}},
		{"count x -o yaml", []string{"--output"}},
		{"history x --window all", []string{"needs a length"}},
		{"history x --granularity x", []string{"--granularity"}},
		{"status -o x", []string{"--output"}},
		{"ingest", []string{"FILE is missing"}},
		{"ingest /dev/null", []string{"/dev/null", "--format"}},
		{"ingest -", []string{"standard input", "--format"}},
		{"ingest - --format csv --progress p", []string{"standard input cannot be read again"}},
		{"ingest a.csv --format xml", []string{`--format "xml"`, "ndjson, csv, msgpack"}},
		{"ingest a.csv --batch 0", []string{"--batch 0"}},
		{"ingest a.csv --parallel 0", []string{"--parallel 0"}},
		{"ingest a.csv --unresolved guess", []string{`--unresolved "guess"`, "stop, resend or skip"}},
		{"replay a.csv --speed 0", []string{"--speed", "above 0"}},
		{"replay a.csv --rate -1", []string{"--rate", "above 0"}},
		{"replay a.csv --rate 1 --speed 1", []string{"--speed and --rate", "one of them"}},
		{"replay a.csv --rebase then", []string{`--rebase "then"`, "now"}},
		{"replay - --format csv --rebase now", []string{"cannot be read twice", "--speed"}},
		{"log ls -o x", []string{"--output"}},
		{"log cat --frames --topic x", []string{"--frames and --topic"}},
		{"demo --for long", []string{"--for", "30s"}},
		{"demo --rate 0", []string{"--rate", "above 0"}},
		{"serve --memory 1KiB", []string{"--memory", "32MiB"}},
		{"serve --partitions 0", []string{"--partitions", "1 to 1024"}},
		{"serve --dedup-memory 1GiB", []string{"dedup-memory", "half of memory"}},
		{"serve --memory 64MiB --max-body 16MiB", []string{"max-body", "sixteenth of memory"}},
		{"serve --config /nowhere/crest.yaml", []string{"--config", "/nowhere/crest.yaml"}},
		{"serve --store store", []string{"--store", "dir:PATH or s3://BUCKET/PREFIX"}},
		{"serve --s3-endpoint http://h:1", []string{"s3-endpoint http://h:1", "the store is a folder"}},
		{"serve --s3-region eu", []string{"s3-region eu", "the store is a folder"}},
		{"snapshot lst", []string{`no command "snapshot lst"`, "ls", "crest snapshot --help"}},
		{"snapshot ls --store x", []string{`--store "x"`, "dir:PATH"}},
		{"snapshot ls -o x", []string{"--output"}},
		{"snapshot verify --s3-endpoint x", []string{"--s3-endpoint", "http://HOST:PORT"}},
		{"snapshot restore --from x", []string{`--from "x"`, "dir:PATH"}},
		{"snapshot restore --from dir:s --store dir:s", []string{"--from dir:s", "the store itself"}},
		{"snapshot restore --root r", []string{"--root", "--partition"}},
		{"snapshot restore --partition 0 --root r --before 2026-01-02T15:04:05Z", []string{"--root and --before", "one of them"}},
		{"snapshot restore --before yesterday", []string{"--before", "2026-01-02T15:04:05Z"}},
		{"snapshot restore --identity f --hash-key-file g --clock wall", []string{"--identity and --hash-key-file", "one of them"}},
		{"snapshot restore --hash-key-file g", []string{"--hash-key-file and --clock", "both"}},
		{"snapshot restore --store-only --identity f", []string{"--store-only", "--identity"}},
		{"serve --hash-key-file /nowhere/key", []string{"hash-key-file", "/nowhere/key"}},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Chdir(t.TempDir()) // whatever goes wrong, nothing is left in the tree
			got := crest(t, strings.Fields(c.line)...)
			if got.code != 2 || got.out != "" {
				t.Errorf("exit code %d, output %q", got.code, got.out)
			}
			if strings.Count(got.err, "\n") != 1 || !strings.HasPrefix(got.err, "crest: ") {
				t.Errorf("not one line: %q", got.err)
			}
			for _, want := range c.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("%q does not say %q", got.err, want)
				}
			}
		})
	}
}

func TestRefusalsAreOneLineAndExitCode1(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := free.Addr().String()
	defer free.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "e.ndjson"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := "127.0.0.1:1"
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"top", "--addr", nobody}, []string{"no node answers at 127.0.0.1:1", "crest serve", "--addr"}},
		{[]string{"top", "--watch", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"count", "x", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"history", "x", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"status", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"ingest", dir + "/e.ndjson", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"replay", dir + "/e.ndjson", "--addr", nobody}, []string{"no node answers"}},
		{[]string{"ingest", dir + "/none.ndjson"}, []string{"none.ndjson", "no such file"}},
		{[]string{"log", "ls", "--data", dir}, []string{"no log in " + dir, "--data"}},
		{[]string{"log", "cat", "--data", dir}, []string{"no log in " + dir}},
		{[]string{"log", "verify", "--data", dir}, []string{"no log in " + dir}},
		{[]string{"serve", "--data", dir, "--http", taken}, []string{taken + " is taken", "--http"}},
		{[]string{"demo", "--data", dir, "--http", taken}, []string{taken + " is taken", "--http"}},
	} {
		t.Run(strings.Join(c.args[:2], " "), func(t *testing.T) {
			got := crest(t, c.args...)
			if got.code != 1 || strings.Count(got.err, "\n") != 1 || !strings.HasPrefix(got.err, "crest: ") {
				t.Errorf("exit code %d, %q", got.code, got.err)
			}
			for _, want := range c.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("%q does not say %q", got.err, want)
				}
			}
		})
	}
}

func TestCommandsAreThoseOfTheContract(t *testing.T) {
	var names []string
	root := newRoot(world{})
	for _, c := range root.Commands() {
		names = append(names, c.Name())
		for _, sub := range c.Commands() {
			names = append(names, c.Name()+" "+sub.Name())
		}
	}
	const want = "count demo doctor history ingest log log cat log ls log verify replay serve snapshot snapshot ls snapshot restore snapshot verify status top version"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHelpTextsAreComplete(t *testing.T) {
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short text", c.CommandPath())
		}
		got := crest(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if got.code != 0 || got.err != "" || !strings.Contains(got.out, "Usage:") {
			t.Errorf("%s --help: exit code %d, %q", c.CommandPath(), got.code, got.err)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			placeholder, text := pflag.UnquoteUsage(f)
			if text == "" || !strings.Contains(got.out, "--"+f.Name) {
				t.Errorf("%s --%s is not explained", c.CommandPath(), f.Name)
			}
			if f.NoOptDefVal == "" && placeholder == "string" {
				t.Errorf("%s --%s does not say what its value is", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot(world{}))
	if got := crest(t); got.code != 0 || !strings.Contains(got.out, "crest demo") {
		t.Errorf("without arguments: exit code %d, %q", got.code, got.out)
	}
}

func TestEverySettingIsAFlagOfServe(t *testing.T) {
	out := crest(t, "serve", "--help").out
	for _, d := range settings.Table {
		if !strings.Contains(out, "--"+d.Name+" ") && !strings.Contains(out, "--"+d.Name+"\n") {
			t.Errorf("--%s is missing", d.Name)
		}
	}
}

func TestPrintConfigIsAConfigFile(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"CREST_MEMORY=64MiB", "CREST_CLOCK=event"}
	first := crestIn(t.Context(), "", environ, "serve", "--http", ":9999", "--keep-user-ids", "--print-config")
	if first.code != 0 || first.err != "" {
		t.Fatalf("exit code %d, %q", first.code, first.err)
	}
	for _, want := range []string{"memory: 64MiB", "CREST_MEMORY", "http: :9999", "--http", "keep-user-ids: true", "clock: event", "#   dedup: 16MiB", "store: dir:data/store", "log-retention: 1h", "snapshot-every: 10m"} {
		if !strings.Contains(first.out, want) {
			t.Errorf("does not say %q:\n%s", want, first.out)
		}
	}
	path := filepath.Join(dir, "crest.yaml")
	if err := os.WriteFile(path, []byte(first.out), 0o600); err != nil {
		t.Fatal(err)
	}
	values := func(s string) string {
		var kept []string
		for line := range strings.Lines(s) {
			line, _, _ = strings.Cut(line, "#")
			kept = append(kept, strings.TrimSpace(line))
		}
		return strings.Join(kept, "\n")
	}
	for name, second := range map[string]outcome{
		"--config":     crest(t, "serve", "--config", path, "--print-config"),
		"CREST_CONFIG": crestIn(t.Context(), "", []string{"CREST_CONFIG=" + path}, "serve", "--print-config"),
	} {
		if second.code != 0 || values(second.out) != values(first.out) {
			t.Errorf("%s: exit code %d, %q\n%s", name, second.code, second.err, second.out)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	secret := strings.Repeat("ab", 32)
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	got := crest(t, "serve", "--hash-key-file", path, "--print-config")
	if got.code != 0 || strings.Contains(got.out, "abab") || !strings.Contains(got.out, path) {
		t.Errorf("exit code %d, %s%s", got.code, got.err, got.out)
	}
}

// running is a node that runs in this process.
type running struct {
	addr string
	out  *lockedBuffer
	stop func() outcome
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveNode starts a node and waits for its ready line.
func serveNode(t *testing.T, data string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, errs := &lockedBuffer{}, &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		args := append([]string{"serve", "--data", data, "--http", "127.0.0.1:0", "--memory", "64MiB", "--log-level", "warn"}, args...)
		ended <- run(ctx, args, world{in: strings.NewReader(""), out: out, err: errs})
	}()
	r := &running{out: out}
	r.stop = sync.OnceValue(func() outcome {
		cancel()
		return outcome{<-ended, out.String(), errs.String()}
	})
	t.Cleanup(func() { r.stop() })
	eventually(t, func() error {
		if len(ended) > 0 {
			t.Fatalf("the node ended: %+v", r.stop())
		}
		_, rest, ready := strings.Cut(out.String(), "crest ready http=")
		if !ready || !strings.Contains(rest, "\n") {
			return errors.New("no ready line")
		}
		r.addr, _, _ = strings.Cut(rest, " ")
		return nil
	})
	return r
}

// eventually waits for a condition.
func eventually(t *testing.T, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}
