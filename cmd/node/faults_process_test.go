//go:build linux || darwin

package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
)

// A node in a process of its own: the test binary runs the test again, which
// finds childVariable set and becomes the node.
const childVariable = "CREST_TEST_NODE_DATA"

// child is such a process, seen from the test.
type child struct {
	*client.Client
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
	log  bytes.Buffer
}

func startChild(t *testing.T) *child {
	t.Helper()
	c := &child{cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")}
	c.cmd.Env = append(os.Environ(), childVariable+"="+t.TempDir())
	c.cmd.Stderr = &c.log
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.addr = c.line(t)
	c.Client = newClient(t, c.addr)
	t.Cleanup(c.Client.Close)
	return c
}

// line is what the child says next.
func (c *child) line(t *testing.T) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		_ = c.cmd.Wait()
		t.Fatalf("%v: %q\n%s", err, line, c.log.String())
	}
	return strings.TrimSpace(line)
}

// tell has the child do something, and waits until it has.
func (c *child) tell(t *testing.T, what string) {
	t.Helper()
	if _, err := io.WriteString(c.in, what+"\n"); err != nil {
		t.Fatal(err)
	}
	if said := c.line(t); said != what {
		t.Fatalf("told %q, the child says %q", what, said)
	}
}

// stop ends the child in good order; what it was is known afterwards.
func (c *child) stop(t *testing.T) *syscall.Rusage {
	t.Helper()
	if err := c.in.Close(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, c.out)
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, c.log.String())
	}
	if strings.Contains(c.log.String(), "panic") {
		t.Errorf("panic:\n%s", c.log.String())
	}
	return c.cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// beChild runs the node until standard input ends, and does what it is told.
func beChild(t *testing.T, data string, do map[string]func()) {
	cfg := testConfig(data)
	two := 2
	cfg.Partitions = &two
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	n := run(t, cfg)
	fmt.Println(n.Node.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println(in.Text()) {
		do[in.Text()]()
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
}

// TestOpenFilesRunOut lets clients take all the connections there are, and then
// somebody in the process all files: the node goes on for those who are
// connected, and for everybody once there are files again.
func TestOpenFilesRunOut(t *testing.T) {
	if data := os.Getenv(childVariable); data != "" {
		l := syscall.Rlimit{Cur: 220, Max: 220}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			t.Fatal(err)
		}
		var taken []*os.File
		beChild(t, data, map[string]func(){
			"take": func() {
				for {
					f, err := os.Open(os.DevNull)
					if errors.Is(err, syscall.EMFILE) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					taken = append(taken, f)
				}
			},
			"give": func() {
				for _, f := range taken {
					_ = f.Close()
				}
			},
		})
		return
	}
	c := startChild(t)
	sent := 0
	ingest := func(c *client.Client) error {
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		defer cancel()
		_, err := c.Ingest(ctx, idBatch(sent, 10))
		if err == nil {
			sent += 10
		}
		return err
	}
	if err := ingest(c.Client); err != nil {
		t.Fatal(err)
	}
	// More clients than there are places: 220 files less 160 of the node's own.
	var others []net.Conn
	for range 400 {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, conn)
	}
	for range 10 {
		if err := ingest(c.Client); err != nil {
			t.Errorf("who is connected gets no answer: %v", err)
		}
	}
	if _, err := c.Client.Snapshot(t.Context()); err != nil {
		t.Errorf("clients have taken the files of a snapshot: %v", err)
	}
	for _, conn := range others {
		_ = conn.Close()
	}
	fresh := newClient(t, c.addr)
	defer fresh.Close()
	await(t, "somebody new is served", func() bool { return fresh.Ready(t.Context()) == nil })
	fresh.Close()

	// Connections that are just being closed leave a few files: those, too.
	await(t, "no snapshot is taken and nobody new is served", func() bool {
		c.tell(t, "take")
		if err := ingest(c.Client); err != nil {
			t.Errorf("who is connected gets no answer: %v", err)
		}
		if _, err := c.Client.Snapshot(t.Context()); err == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := newClient(t, c.addr)
		defer late.Close()
		return late.Ready(ctx) != nil
	})
	if err := ingest(c.Client); err != nil {
		t.Errorf("who is connected gets no answer: %v", err)
	}
	c.tell(t, "give")
	late := newClient(t, c.addr)
	defer late.Close()
	await(t, "somebody new is served again", func() bool { return late.Ready(t.Context()) == nil })
	if err := ingest(late); err != nil {
		t.Error(err)
	}
	if _, err := c.Client.Snapshot(t.Context()); err != nil {
		t.Errorf("snapshot: %v", err)
	}
	await(t, "all counted", func() bool {
		got, err := late.Count(t.Context(), "t", client.Scope{Window: "all"})
		return err == nil && got.Lower == uint64(sent)
	})
	c.stop(t)
	for _, line := range []string{"connections are bounded by the limit of open files", "too many open files; retrying in"} {
		if !strings.Contains(c.log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, c.log.String())
		}
	}
}

// TestMemoryStaysWithinItsBound loads a node of 64 MiB with many topics, regions
// and ids, while snapshots are taken one after the other: the process takes no
// more than 1.25 times that and 150 MiB, and what it took is counted.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	if data := os.Getenv(childVariable); data != "" {
		beChild(t, data, nil)
		return
	}
	const seed, senders, memory = 5, 4, 64 << 20
	c := startChild(t)
	until := time.Now().Add(6 * time.Second)
	var mu sync.Mutex
	var accepted uint64
	refused, snapshots := 0, 0
	goesOn := func() bool { // longer where little gets done in that time
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		return now.Before(until) || (accepted < 10_000 || snapshots < 2) && now.Before(until.Add(testTimeout))
	}
	var working sync.WaitGroup
	for i := range senders {
		working.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			mine := newClient(t, c.addr)
			defer mine.Close()
			for n := 0; goesOn(); n++ {
				var b strings.Builder
				for e := range 1000 {
					fmt.Fprintf(&b, `{"topic":"topic-%d","category":"c%d","region":"r%d","event_id":"%d-%d-%d"}`+"\n",
						int(rng.ExpFloat64()*100_000), rng.IntN(20), rng.IntN(200), i, n, e)
				}
				_, err := mine.Ingest(t.Context(), &client.Events{Body: []byte(b.String()), ContentType: client.NDJSON})
				var answer *client.Error
				mu.Lock()
				switch {
				case err == nil:
					accepted += 1000
				case errors.As(err, &answer) && answer.Status == http.StatusTooManyRequests:
					refused++
				default:
					t.Errorf("seed %d: %v", seed, err)
				}
				mu.Unlock()
			}
		})
	}
	for goesOn() {
		if _, err := c.Client.Snapshot(t.Context()); err != nil {
			t.Errorf("snapshot: %v", err)
		}
		mu.Lock()
		snapshots++
		mu.Unlock()
	}
	working.Wait()
	await(t, "all counted", func() bool {
		l, err := c.Ledger(t.Context())
		return err == nil && l.Total.Counted >= accepted
	})
	peak := int64(c.stop(t).Maxrss)
	if runtime.GOOS == "linux" { // in KiB there
		peak <<= 10
	}
	bound := int64(memory*5/4+150<<20) * raceFactor
	t.Logf("%d events, %d requests refused, %d snapshots, at most %d MiB resident", accepted, refused, snapshots, peak>>20)
	if peak > bound {
		t.Errorf("%d MiB resident, want at most %d", peak>>20, bound>>20)
	}
	if accepted < 10_000 || snapshots < 2 {
		t.Errorf("only %d events and %d snapshots", accepted, snapshots)
	}
}
