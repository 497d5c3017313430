package gateway

import (
	"net"
	"net/http"
	"sync"
)

// unused are connections on which no request has begun. net/http's Shutdown
// waits five seconds for those, in case one is on its way; a client that opened
// one ahead would hold up every stop. They are closed instead: nothing has been
// asked on them, and their clients try again elsewhere.
type unused struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func newUnused() *unused { return &unused{conns: make(map[net.Conn]struct{})} }

// state is the server's ConnState.
func (u *unused) state(c net.Conn, s http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case s != http.StateNew:
		delete(u.conns, c)
	case u.closed:
		_ = c.Close()
	default:
		u.conns[c] = struct{}{}
	}
}

// close closes them, and those that still come.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close()
	}
}
