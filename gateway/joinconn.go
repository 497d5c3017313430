package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// joinConn writes a large answer at once. net/http buffers 4 KiB: an answer
// beyond that leaves in two writes, the head with what fits beside it, then the
// rest, and the client's kernel and process wake up for each.
//
// Only the goroutine that answers a request writes to its connection.
type joinConn struct {
	net.Conn
	joined *[]byte // while a body is written: what is not yet sent
}

const (
	// joinFrom is the size of the bodies that are joined. What is left of
	// smaller ones behind net/http's buffer is flushed after the handler.
	joinFrom = 2 * 4096
	// joinMost is that of the largest: those beyond take longer to send than
	// to wake up for, and their buffers are not worth keeping.
	joinMost = 256 << 10
)

var joinBuffers = sync.Pool{New: func() any { return new([]byte) }}

type joinKey struct{}

func withJoin(ctx context.Context, c net.Conn) context.Context {
	if l, ok := c.(*limitConn); ok {
		return context.WithValue(ctx, joinKey{}, &l.joinConn)
	}
	return ctx
}

// joinConnOf is the connection of a request, or nil.
func joinConnOf(r *http.Request) *joinConn {
	j, _ := r.Context().Value(joinKey{}).(*joinConn)
	return j
}

// write writes a body to w, which writes to c.
func (c *joinConn) write(w http.ResponseWriter, body []byte) (int, error) {
	c.joined = joinBuffers.Get().(*[]byte)
	n, err := w.Write(body)
	all := c.joined
	c.joined = nil
	if len(*all) > 0 && err == nil {
		_, err = c.Conn.Write(*all)
	}
	*all = (*all)[:0]
	joinBuffers.Put(all)
	return n, err
}

func (c *joinConn) Write(p []byte) (int, error) {
	if c.joined == nil {
		return c.Conn.Write(p)
	}
	*c.joined = append(*c.joined, p...)
	return len(p), nil
}
