package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// connection is one kept-alive HTTP connection of one worker. It does what a
// load needs and no more: a request is one write, of an answer only what the
// loop looks at is read. net/http's client took more of the machine for a
// request than the node took to answer it, and so measured mostly itself.
type connection struct {
	host string
	conn net.Conn // nil until the first request, and after an error
	in   *bufio.Reader
	out  []byte
	stop func() bool // no longer close conn when the load ends
}

// exchangeTimeout bounds one request and its answer.
const exchangeTimeout = time.Minute

// reply is what is looked at of an answer.
type reply struct {
	status     int
	length     int           // of the body, which is read over
	retryAfter time.Duration // 0: not said
	problem    string        // the body, if the status is not 200
}

// post sends a body.
func (c *connection) post(ctx context.Context, path, contentType string, body []byte) (reply, error) {
	c.begin("POST ", path)
	c.out = append(c.out, "\r\nContent-Type: "...)
	c.out = append(c.out, contentType...)
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	return c.exchange(ctx)
}

// get asks a question.
func (c *connection) get(ctx context.Context, path string) (reply, error) {
	c.begin("GET ", path)
	c.out = append(c.out, "\r\n\r\n"...)
	return c.exchange(ctx)
}

func (c *connection) begin(method, path string) {
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: "...)
	c.out = append(c.out, c.host...)
}

// exchange sends what is in out and reads the answer.
func (c *connection) exchange(ctx context.Context) (reply, error) {
	r, err := c.try(ctx)
	if err != nil {
		c.close()
		return r, fmt.Errorf("ask %s: %w", c.host, err)
	}
	return r, nil
}

func (c *connection) try(ctx context.Context) (reply, error) {
	if c.conn == nil {
		if err := c.open(ctx); err != nil {
			return reply{}, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return reply{}, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return reply{}, err
	}
	return readReply(c.in)
}

// open connects; the connection is closed when ctx ends, which ends the
// request under way.
func (c *connection) open(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.host)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 16<<10)
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

func (c *connection) close() {
	if c.conn != nil {
		c.stop()
		_ = c.conn.Close()
		c.conn = nil
	}
}

var errNoLength = errors.New("an answer without a length, or not of HTTP/1.1")

// readReply reads one answer and skips its body.
func readReply(in *bufio.Reader) (reply, error) {
	r := reply{length: -1}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 {
		return r, errNoLength
	}
	if r.status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return r, err
	}
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return r, err
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			break // the blank line
		}
		if err := r.header(name, bytes.TrimSpace(value)); err != nil {
			return r, err
		}
	}
	if r.length < 0 {
		return r, errNoLength
	}
	if r.status != http.StatusOK {
		body := make([]byte, r.length)
		_, err = io.ReadFull(in, body)
		r.problem = string(body)
		return r, err
	}
	_, err = in.Discard(r.length)
	return r, err
}

// header takes the headers that are looked at, as net/http's server writes
// their names.
func (r *reply) header(name, value []byte) (err error) {
	switch string(name) {
	case "Content-Length":
		r.length, err = strconv.Atoi(string(value))
	case "Retry-After":
		var seconds int
		seconds, err = strconv.Atoi(string(value))
		r.retryAfter = time.Duration(seconds) * time.Second
	}
	return err
}
