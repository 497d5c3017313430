package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
)

// countingListener counts the writes to its connections.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, &l.writes}, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestAnAnswerIsOneWrite: bodies of all sizes arrive as they are, one after the
// other on one connection, and the usual sizes of boards in one write.
func TestAnAnswerIsOneWrite(t *testing.T) {
	body := func(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingListener{Listener: ln}
	srv := &http.Server{
		ConnContext: withJoin,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.URL.Query().Get("n"))
			send(&recorder{ResponseWriter: w, conn: joinConnOf(r)}, jsonHeader, body(n))
		}),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(limitConnections(counting, 8)) }()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		srv.Close()
		<-served
	})
	for _, n := range []int{0, 1, 4000, 4096, joinFrom - 1, joinFrom, joinFrom + 1, 15_000, 100_000, joinMost, joinMost + 1, 1 << 20} {
		before := counting.writes.Load()
		r, err := client.Get(fmt.Sprintf("http://%s/?n=%d", ln.Addr(), n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !bytes.Equal(got, body(n)) {
			t.Fatalf("%d bytes: %d came, %v", n, len(got), err)
		}
		if writes := counting.writes.Load() - before; n >= joinFrom && n <= joinMost && writes != 1 {
			t.Errorf("%d bytes took %d writes", n, writes)
		}
	}
}
