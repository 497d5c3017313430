package kafka

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// started is what the broker logs once it answers.
const started = "Kafka Server started"

// startTimeout bounds a start; a broker that was killed first has to look
// through what it wrote last.
const startTimeout = 2 * time.Minute

// Broker is Kafka on a folder of its own. One goroutine starts and ends it.
type Broker struct {
	libs, dir string
	id        int // its node.id, from 1
	ports     ports
	// proxy is the address that those who come through a proxy are sent to.
	proxy string
	// quorum are the controllers, itself among them, as Kafka wants to be told.
	quorum   string
	replicas int // brokers in its cluster
	jvm      []string

	cmd  *exec.Cmd     // nil while it is down
	done chan struct{} // closed when the process is gone
	out  lines
}

// New makes a broker's folder, formatted, in dir, with jars that Install has
// fetched. It is not started yet.
func New(ctx context.Context, libs, dir string) (*Broker, error) {
	brokers, err := newBrokers(libs, []string{dir}, alone)
	if err != nil {
		return nil, fmt.Errorf("new broker: %w", err)
	}
	if err := brokers[0].format(ctx, clusterID()); err != nil {
		return nil, fmt.Errorf("new broker: %w", err)
	}
	return brokers[0], nil
}

// newBrokers are those of one cluster, one for each folder. They are not formatted
// yet.
func newBrokers(libs string, dirs, jvm []string) ([]*Broker, error) {
	brokers, proxies := make([]*Broker, len(dirs)), make([]int, len(dirs))
	var free []*int
	for i, dir := range dirs {
		b := &Broker{libs: libs, dir: dir, id: i + 1, replicas: len(dirs), jvm: jvm}
		free = append(free, &b.ports.plain, &b.ports.proxied, &b.ports.secure, &b.ports.control, &proxies[i])
		brokers[i] = b
	}
	if err := freePorts(free...); err != nil {
		return nil, err
	}
	var voters []string
	for _, b := range brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", b.id, loopback(b.ports.control)))
	}
	for i, b := range brokers {
		b.proxy, b.quorum = loopback(proxies[i]), strings.Join(voters, ",")
	}
	return brokers, nil
}

// format fills the broker's folder.
func (b *Broker) format(ctx context.Context, cluster string) error {
	if err := b.writeCertificates(); err != nil {
		return err
	}
	for name, text := range map[string]string{"server.properties": b.properties(), "log4j.properties": logging} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	args := []string{"format", "-t", cluster, "-c", filepath.Join(b.dir, "server.properties")}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, User, Password))
	}
	if out, err := b.java(ctx, "kafka.tools.StorageTool", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("format the broker's folder: %w\n%s", err, out)
	}
	return nil
}

// ID is the broker's number in its cluster.
func (b *Broker) ID() int32 { return int32(b.id) }

// Addr is where it listens, HOST:PORT, as it advertises it.
func (b *Broker) Addr() string { return loopback(b.ports.plain) }

// ProxyAddr is where a proxy has to listen that passes on to ProxiedAddr. Who
// comes through it is told that the broker is there.
func (b *Broker) ProxyAddr() string { return b.proxy }

// ProxiedAddr is what is behind the proxy.
func (b *Broker) ProxiedAddr() string { return loopback(b.ports.proxied) }

// SecureAddr is where it speaks TLS and wants User and Password.
func (b *Broker) SecureAddr() string { return loopback(b.ports.secure) }

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Start starts the broker and waits until it answers.
func (b *Broker) Start(ctx context.Context) error {
	b.cmd = b.java(context.WithoutCancel(ctx), "kafka.Kafka", filepath.Join(b.dir, "server.properties"))
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.cmd.Stderr = b.cmd.Stdout
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	ready := make(chan struct{})
	b.done = make(chan struct{})
	go b.watch(b.cmd, out, ready, b.done)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-b.done:
		err = errors.New("it ended")
	case <-ctx.Done():
		err = ctx.Err()
		b.Kill()
	}
	return fmt.Errorf("start broker: %w\n%s", err, b.Log())
}

// watch keeps what the broker logs until it is gone.
func (b *Broker) watch(cmd *exec.Cmd, out io.Reader, ready, done chan struct{}) {
	defer close(done)
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		b.out.add(in.Text())
		if ready != nil && strings.Contains(in.Text(), started) {
			close(ready)
			ready = nil
		}
	}
	_ = cmd.Wait() // it was killed, or says why in its log
}

// Kill ends the broker at once, as kill -9 does, and waits until it is gone.
func (b *Broker) Kill() { b.end(syscall.SIGKILL) }

// Stop has the broker end in good order.
func (b *Broker) Stop() { b.end(syscall.SIGTERM) }

func (b *Broker) end(how syscall.Signal) {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Signal(how) // an error means that it is gone already
	select {
	case <-b.done:
	case <-time.After(30 * time.Second):
		_ = b.cmd.Process.Kill()
		<-b.done
	}
	b.cmd = nil
}

// Pause stops the process where it is, until Resume: a broker that takes
// connections and says nothing.
func (b *Broker) Pause() error { return b.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused broker go on.
func (b *Broker) Resume() error { return b.cmd.Process.Signal(syscall.SIGCONT) }

// Running tells whether the process is there.
func (b *Broker) Running() bool {
	if b.cmd == nil {
		return false
	}
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// Process is the broker's process id.
func (b *Broker) Process() int { return b.cmd.Process.Pid }

// Log is the end of what the broker has logged.
func (b *Broker) Log() string { return b.out.String() }

// Tool is one of Kafka's own command-line tools, by its class.
func (b *Broker) Tool(ctx context.Context, class string, args ...string) *exec.Cmd {
	return b.java(ctx, class, args...)
}

// java runs a class of Kafka's.
func (b *Broker) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "java", append(append(slices.Clone(b.jvm), "-Djava.awt.headless=true",
		"-Dlog4j.configuration=file:"+filepath.Join(b.dir, "log4j.properties"),
		"-cp", filepath.Join(b.libs, "*"), class,
	), args...)...)
	cmd.Dir = b.dir
	return cmd
}

// clusterID is a random one, as Kafka writes them.
func clusterID() string {
	var id [16]byte
	rand.Read(id[:])
	id[0] &= 0x7f // Kafka makes none that begin with a dash
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// freePorts are ports that nobody listens on.
func freePorts(ports ...*int) error {
	for _, p := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close() // at the end, so that all are different
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// lines keeps the last lines of a log.
type lines struct {
	mu   sync.Mutex
	last []string
}

const keptLines = 200

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == keptLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}
