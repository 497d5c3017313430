package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient lets what ends behind the last test end.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(testTimeout); goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return code
}

// testTimeout is how long anything is waited for that is to come: what is waited
// for longer does not come.
const testTimeout = time.Minute

// running is a server on a loopback port.
type running struct {
	*testServer
	addr string
	stop context.CancelFunc
	done chan error // what Run returned
}

func run(t *testing.T, change ...func(*Config)) *running {
	t.Helper()
	s := newTestServer(t, change...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{testServer: s, addr: ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx, ln) }()
	t.Cleanup(cancel)
	return r
}

// wait is what Run returns, soon.
func (r *running) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(testTimeout):
		t.Fatal("the server does not stop")
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends bytes over a connection of its own and returns the whole reply, or
// what comes of it if the server has had enough before.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	c := dial(t, addr)
	_, _ = io.WriteString(c, request)
	reply, _ := io.ReadAll(c) // until the server closes
	return string(reply)
}

func TestPathsSurviveTheRealServer(t *testing.T) {
	s := run(t)
	for _, path := range []string{"/api/v1/topics/../count", "/api/v1/topics/a%2Fb/count", "/api/v1/topics/%2F/count", "/api/v1/topics/%2E%2E/count"} {
		reply := raw(t, s.addr, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(reply, "HTTP/1.1 200 ") {
			t.Errorf("%s: %.200s", path, reply)
		}
	}
	for path, status := range map[string]string{"/api/v1/topics/%00/count": "400", "/api/v1/topics/%zz/count": "400", "/nothing": "404"} {
		reply := raw(t, s.addr, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(reply, "HTTP/1.1 "+status+" ") {
			t.Errorf("%s: %.200s", path, reply)
		}
	}
	s.stop()
	s.wait(t)
}

func TestHeadersAreBoundedInSizeAndTime(t *testing.T) {
	s := run(t, func(c *Config) { c.MaxHeaderBytes = 4 << 10 })
	reply := ""
	for tries := 0; reply == "" && tries < 5; tries++ { // lost, if we look for it only when the server has closed
		reply = raw(t, s.addr, "GET /livez HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}
	if !strings.HasPrefix(reply, "HTTP/1.1 431 ") {
		t.Errorf("a header of 64 KiB: %.100q", reply)
	}
	s.stop()
	s.wait(t)
	s = run(t, func(c *Config) { c.HeaderTimeout = 100 * time.Millisecond })
	started := time.Now()
	if reply := raw(t, s.addr, "GET /livez HTTP/1.1\r\nHost: "); strings.Contains(reply, " 200 ") {
		t.Errorf("half a header was answered: %.100q", reply)
	}
	if took := time.Since(started); took > testTimeout/2 {
		t.Errorf("half a header held a connection for %v", took)
	}
	s.stop()
	s.wait(t)
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	s := run(t, func(c *Config) { c.MaxConnections = 1 })
	first := dial(t, s.addr)
	ask := func(c net.Conn) error {
		if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		_, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	second := dial(t, s.addr)
	answered := make(chan error, 1)
	go func() { answered <- ask(second) }()
	select {
	case err := <-answered:
		t.Fatalf("a second connection was served beside the first (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	if err := <-answered; err != nil {
		t.Errorf("the second connection, after the first was closed: %v", err)
	}
	s.stop()
	s.wait(t)
}

// askSlowly begins a request that the engine holds, and returns its outcome.
func (r *running) askSlowly(t *testing.T) <-chan string {
	t.Helper()
	r.engine.set(func(e *fakeEngine) { e.block = make(chan struct{}) })
	out := make(chan string, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		resp, err := client.Get("http://" + r.addr + "/api/v1/trending")
		if err != nil {
			out <- "cut off"
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		out <- fmt.Sprint(resp.StatusCode)
	}()
	for r.engine.last() == nil {
		time.Sleep(time.Millisecond)
	}
	return out
}

func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	s := run(t, func(c *Config) { c.DrainTimeout, c.QueryTimeout = testTimeout, testTimeout })
	outcome := s.askSlowly(t)
	s.stop()
	for { // the listener closes at once
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-s.done:
		t.Fatalf("Run returned (%v) while a request was in flight", err)
	case got := <-outcome:
		t.Fatalf("the request in flight got %s", got)
	default:
	}
	if w := s.get(t, "/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz answers %d while the server stops", w.Code)
	}
	close(s.engine.block)
	if got := <-outcome; got != "200" {
		t.Errorf("the request in flight got %s, want 200", got)
	}
	s.wait(t)
}

func TestStopCutsOffWhatDoesNotFinish(t *testing.T) {
	s := run(t, func(c *Config) { c.DrainTimeout, c.QueryTimeout = 50*time.Millisecond, time.Minute })
	outcome := s.askSlowly(t)
	s.stop()
	s.wait(t)
	if got := <-outcome; got == "200" {
		t.Errorf("the request in flight got %s", got)
	}
}

func TestConfigNamesWhatIsOutOfRange(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"header timeout":   func(c *Config) { c.HeaderTimeout = 0 },
		"read timeout":     func(c *Config) { c.ReadTimeout = time.Second },
		"query timeout 2m": func(c *Config) { c.QueryTimeout = 2 * time.Minute },
		"max connections":  func(c *Config) { c.MaxConnections = 0 },
		"max header bytes": func(c *Config) { c.MaxHeaderBytes = 10 },
		"no clock":         func(c *Config) { c.Now = nil },
		"no logger":        func(c *Config) { c.Logger = nil },
		`role ""`:          func(c *Config) { c.Node.Role = "" },
	} {
		c := DefaultConfig()
		c.Now = func() messages.Micros { return 0 }
		if err := c.Validate(); err != nil {
			t.Fatalf("the default: %v", err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// TestRefusalsReachClientsThatSendFirst: a client that sends its whole body
// before it reads must get the answer, not a reset.
func TestRefusalsReachClientsThatSendFirst(t *testing.T) {
	s := run(t)
	defer s.wait(t)
	defer s.stop()
	body := bytes.Repeat([]byte{'x'}, 20<<20)
	for target, want := range map[string]int{"/api/v1/events": 413, "/api/v1/events?x=1": 400, "/nowhere": 404} {
		conn := dial(t, s.addr)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", target, len(body))
		if _, err := conn.Write(body); err != nil {
			t.Errorf("%s: %v while sending", target, err)
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, resp.StatusCode, want)
		}
	}
}
