package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Build compiles the program of this checkout into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := dir + "/crest"
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/crestdb/crest/cmd/crest").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build crest: %w\n%s", err, out)
	}
	return bin, nil
}

// Node is `crest serve` running as a process of its own, on a free port of the
// loopback interface.
type Node struct {
	cmd    *exec.Cmd
	addr   string
	stderr tail
	ready  chan string   // its address, once; closed without one if it ends before
	done   chan struct{} // closed when it is gone
}

// Start starts a node on a data folder, with further flags of `crest serve`.
// It does not wait; see Ready.
func Start(bin, data string, flags ...string) (*Node, error) {
	n := &Node{
		cmd:   exec.Command(bin, append([]string{"serve", "--data", data, "--http", "127.0.0.1:0"}, flags...)...),
		ready: make(chan string, 1),
		done:  make(chan struct{}),
	}
	n.cmd.Env = cleanEnviron()
	n.cmd.Stderr = &n.stderr
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	go n.watch(stdout)
	return n, nil
}

// cleanEnviron is our environment without crest's settings, which would hold
// for the node too.
func cleanEnviron() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CREST_") {
			env = append(env, v)
		}
	}
	return env
}

// watch reads the ready line, and everything behind it so that the node never
// blocks on a full pipe; then it waits for the process.
func (n *Node) watch(stdout io.Reader) {
	defer close(n.done)
	lines := bufio.NewScanner(stdout)
	found := false
	for lines.Scan() {
		if addr, ok := readyAddr(lines.Text()); ok && !found {
			found = true
			n.ready <- addr
		}
	}
	close(n.ready)
	_ = n.cmd.Wait() // its exit is read from ProcessState
}

// readyAddr is the address in the line that a node prints once it answers.
func readyAddr(line string) (string, bool) {
	rest, ok := strings.CutPrefix(line, "crest ready ")
	if !ok {
		return "", false
	}
	for _, field := range strings.Fields(rest) {
		if addr, ok := strings.CutPrefix(field, "http="); ok {
			return "http://" + addr, true
		}
	}
	return "", false
}

// Ready waits until the node answers and returns its address. It is called
// once.
func (n *Node) Ready(ctx context.Context) (string, error) {
	select {
	case addr, ok := <-n.ready:
		if !ok {
			<-n.done
			return "", fmt.Errorf("node ended before it was ready (%v):\n%s", n.cmd.ProcessState, n.stderr.String())
		}
		n.addr = addr
		return addr, nil
	case <-ctx.Done():
		return "", fmt.Errorf("node is not ready: %w:\n%s", ctx.Err(), n.stderr.String())
	}
}

// Addr is the address that Ready returned.
func (n *Node) Addr() string { return n.addr }

// Process is the node's process id.
func (n *Node) Process() int { return n.cmd.Process.Pid }

// Done is closed when the process is gone.
func (n *Node) Done() <-chan struct{} { return n.done }

// Log is the end of what the node wrote to standard error.
func (n *Node) Log() string { return n.stderr.String() }

// Kill ends the node at once, as kill -9 does, and waits until it is gone.
func (n *Node) Kill() {
	_ = n.cmd.Process.Kill() // an error means that it is gone already
	<-n.done
}

// Stop asks the node to drain and end, and returns its exit code.
func (n *Node) Stop(ctx context.Context) (int, error) {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, fmt.Errorf("stop node: %w", err)
	}
	return n.Wait(ctx)
}

// Wait waits until the node has ended by itself, and returns its exit code.
func (n *Node) Wait(ctx context.Context) (int, error) {
	select {
	case <-n.done:
		return n.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("node does not end: %w:\n%s", ctx.Err(), n.stderr.String())
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
