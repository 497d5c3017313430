//go:build e2e

package sim

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes TCP connections on to a node and cuts some of them at a random
// byte, in one direction or the other, without a goodbye.
type proxy struct {
	listener net.Listener
	target   atomic.Pointer[string] // host:port; nil while there is none

	mu   sync.Mutex // guards rng and open
	rng  *rand.Rand
	open map[net.Conn]bool

	wg   sync.WaitGroup
	cuts atomic.Int64
}

func newProxy(t *testing.T, rng *rand.Rand) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, rng: rand.New(rand.NewPCG(rng.Uint64(), 2)), open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// limits are how many bytes pass in each direction before the cut. Half of the
// connections are cut in the first kilobytes to the node, which is within a
// request; a quarter within an answer.
func (p *proxy) limits() (up, down int64) {
	const far = 1 << 40
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.rng.IntN(4) {
	case 0, 1:
		return p.rng.Int64N(6000), far
	case 2:
		return far, p.rng.Int64N(600)
	}
	return far, far
}

func (p *proxy) serve(in net.Conn) {
	defer p.cut(in)
	target := p.target.Load()
	if target == nil {
		return
	}
	out, err := net.Dial("tcp", *target)
	if err != nil {
		return
	}
	defer p.cut(out)
	p.mu.Lock()
	p.open[in], p.open[out] = true, true
	p.mu.Unlock()

	up, down := p.limits()
	gone := make(chan struct{}, 2) // one for each direction
	pass := func(to, from net.Conn, limit int64) {
		if n, _ := io.Copy(to, io.LimitReader(from, limit)); n == limit {
			p.cuts.Add(1)
		}
		gone <- struct{}{}
	}
	p.wg.Go(func() { pass(out, in, up) })
	p.wg.Go(func() { pass(in, out, down) })
	<-gone // the end of either direction is the end of both
}

// cut closes a connection with a reset instead of a goodbye.
func (p *proxy) cut(c net.Conn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closed already, then
	}
	c.Close()
}
