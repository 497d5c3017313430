package gateway

import (
	"net"
	"sync"
)

// limitConnections bounds the connections of a listener. When n are open, Accept waits
// for one to close; what comes meanwhile waits in the kernel's backlog, which
// refuses when it is full itself.
func limitConnections(ln net.Listener, n int) net.Listener {
	return &limitListener{Listener: ln, places: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	places chan struct{} // one token per open connection
	once   sync.Once
	closed chan struct{} // closed by Close: an Accept that waits gives up
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitConn{joinConn: joinConn{Conn: c}, release: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitConn gives its place back when it is closed, however often that is.
type limitConn struct {
	joinConn
	release func()
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
