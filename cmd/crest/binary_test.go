package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// binaryDir is the folder of the program, "" until a test has wanted it.
var binaryDir string

// binary builds the program once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "crest-test-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "crest")
	out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v9.9.9", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// command is the program as a process of its own, with no crest settings but
// those given.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CREST_") {
			c.Env = append(c.Env, v)
		}
	}
	return c
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err == nil {
		return 0
	}
	return exit.ExitCode()
}

func TestBinary(t *testing.T) {
	for _, c := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"version"}, 0, "crest v9.9.9\n", ""},
		{[]string{"--help"}, 0, "crest serve", ""},
		{nil, 0, "crest demo", ""},
		{[]string{"version", "--nope"}, 2, "", "crest: unknown flag: --nope; see crest version --help\n"},
		{[]string{"srve"}, 2, "", "did you mean serve?"},
		{[]string{"count"}, 2, "", "TOPIC is missing"},
		{[]string{"top", "--addr", "127.0.0.1:1"}, 1, "", "no node answers"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var out, errs bytes.Buffer
			cmd := command(t, c.args...)
			cmd.Stdout, cmd.Stderr = &out, &errs
			code := exitCode(t, cmd.Run())
			if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.err) || c.err == "" && errs.Len() > 0 {
				t.Errorf("exit code %d, output %q, errors %q", code, out.String(), errs.String())
			}
		})
	}
}

// startBinary starts a node as a process and waits until it is ready.
func startBinary(t *testing.T, data string) (c *exec.Cmd, addr string) {
	t.Helper()
	c = command(t, "serve", "--data", data, "--http", "127.0.0.1:0", "--memory", "64MiB")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	rest, ok := strings.CutPrefix(line, "crest ready http=")
	if !ok {
		t.Fatalf("first line %q, %v", line, err)
	}
	addr, _, _ = strings.Cut(rest, " ")
	return c, addr
}

func TestSignalsDrainTheNode(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		c, _ := startBinary(t, t.TempDir())
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, c.Wait()); code != 0 {
			t.Errorf("%v: exit code %d", signal, code)
		}
	}
}

func TestSecondSignalEndsTheNodeAtOnce(t *testing.T) {
	c, addr := startBinary(t, t.TempDir())
	// A request whose body never ends holds the drain up.
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil { // 100 Continue: the request is under way
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the drain has begun: nobody listens any more
		if other, err := net.Dial("tcp", addr); err == nil {
			return errors.Join(errors.New("the node still listens"), other.Close())
		}
		return nil
	})
	began := time.Now()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, c.Wait()); code != 1 || time.Since(began) > 8*time.Second { // a drain would take 10 s
		t.Errorf("exit code %d after %v", code, time.Since(began))
	}
}

// fakeServer takes events as a node does: each key counts once. It answers
// after a moment, so that a kill meets requests under way.
type fakeServer struct {
	mu     sync.Mutex
	bodies map[string]string // by key
	lines  map[string]int
	left   int           // requests until came is closed
	came   chan struct{} // nil: nobody waits
}

// after is closed when n more requests have come.
func (f *fakeServer) after(n int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.came = n, make(chan struct{})
	return f.came
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(api.Status{Ready: true, Settings: api.Settings{DedupWindow: "10m"}})
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender is gone: nothing of it counts
	}
	f.mu.Lock()
	key := r.Header.Get("Idempotency-Key")
	earlier, seen := f.bodies[key]
	if !seen {
		f.bodies[key] = string(body)
		for line := range strings.Lines(string(body)) {
			f.lines[line]++
		}
	}
	if f.left--; f.left == 0 {
		close(f.came)
	}
	f.mu.Unlock()
	if seen && earlier != string(body) {
		http.Error(w, "another body", http.StatusConflict)
		return
	}
	time.Sleep(3 * time.Millisecond) // counted, not answered yet
	accepted, rejected := strings.Count(string(body), "\n"), 0
	_ = json.NewEncoder(w).Encode(api.Ingested{Status: "success", Accepted: &accepted, Rejected: &rejected})
}

func TestIngestKilledAndRepeatedCountsEveryEventOnce(t *testing.T) {
	const events = 6000
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	var content strings.Builder
	for i := range events {
		fmt.Fprintf(&content, "{\"topic\":\"t%d\"}\n", i)
	}
	file := write(t, "events.ndjson", content.String())
	fake := &fakeServer{bodies: map[string]string{}, lines: map[string]int{}}
	server := httptest.NewServer(fake)
	defer server.Close()

	kills := 0
	for {
		c := command(t, "ingest", file, "--addr", server.URL, "--batch", "20")
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		// After some requests; or at any moment, which may be before the first.
		came, moment := fake.after(1+rng.IntN(40)), (<-chan time.Time)(nil)
		if kills%4 == 3 {
			came, moment = nil, time.After(time.Duration(15+rng.IntN(60))*time.Millisecond)
		}
		select {
		case <-came:
		case <-moment:
		case err := <-ended:
			ended <- err
		}
		_ = c.Process.Kill() // if it has not ended
		err := <-ended
		if err == nil {
			break
		}
		if exitCode(t, err) != -1 {
			t.Fatalf("seed %d, after %d kills: %s", seed, kills, errs.String())
		}
		if kills++; kills > 500 {
			t.Fatalf("seed %d: no end in sight after %d kills", seed, kills)
		}
	}
	if len(fake.lines) != events {
		t.Errorf("seed %d, %d kills: %d different events counted, want %d", seed, kills, len(fake.lines), events)
	}
	for line, n := range fake.lines {
		if n != 1 {
			t.Fatalf("seed %d, %d kills: %s counted %d times", seed, kills, strings.TrimSpace(line), n)
		}
	}
	t.Logf("seed %d: %d kills", seed, kills)
}
