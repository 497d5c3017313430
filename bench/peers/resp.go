package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// redisServer is a redis-server process of ours, without persistence.
type redisServer struct {
	cmd  *exec.Cmd
	addr string
	dir  string
	done chan struct{} // closed when it is gone
}

func startRedis(ctx context.Context, path string) (s *redisServer, err error) {
	s = &redisServer{done: make(chan struct{})}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "crest-peers-redis"); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning")
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start redis-server: %w", err), os.RemoveAll(s.dir))
	}
	go func() {
		_ = s.cmd.Wait() // it is killed in the end
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := dialRedis(s.addr)
		if err == nil {
			c.Close()
			return s, nil
		}
		if !until(ctx, time.Now().Add(10*time.Millisecond)) {
			return nil, errors.Join(fmt.Errorf("redis-server does not answer: %w", err), s.stop())
		}
	}
}

// freeAddr is a port of the loopback interface that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *redisServer) stop() error {
	_ = s.cmd.Process.Kill() // an error means that it is gone already
	<-s.done
	return os.RemoveAll(s.dir)
}

// redisConn is a connection to Redis. One goroutine may write while another
// reads.
type redisConn struct {
	net.Conn
	in *bufio.Reader
}

func dialRedis(addr string) (*redisConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &redisConn{c, bufio.NewReaderSize(c, 1<<16)}, nil
}

// appendCommand appends a command in Redis' protocol (RESP 2).
func appendCommand(dst []byte, words ...string) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(words))
	for _, w := range words {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(w), w)
	}
	return dst
}

// line reads a line of a reply without its end; it is valid until the next.
func (c *redisConn) line() ([]byte, error) {
	l, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("read from redis: %w", err)
	}
	if len(l) < 3 || l[0] == '-' {
		return nil, fmt.Errorf("redis: %s", strings.TrimSpace(string(l)))
	}
	return l[:len(l)-2], nil
}

// bulk reads a string.
func (c *redisConn) bulk() (string, error) {
	head, err := c.line()
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(string(head[1:]))
	if err != nil || head[0] != '$' || n < 0 {
		return "", fmt.Errorf("redis: %q, want a string", head)
	}
	text := make([]byte, n+2)
	for at := 0; at < len(text); {
		k, err := c.in.Read(text[at:])
		if err != nil {
			return "", fmt.Errorf("read from redis: %w", err)
		}
		at += k
	}
	return string(text[:n]), nil
}

// ask sends a command and reads the strings of its reply.
func (c *redisConn) ask(words ...string) ([]string, error) {
	if _, err := c.Write(appendCommand(nil, words...)); err != nil {
		return nil, fmt.Errorf("write to redis: %w", err)
	}
	if words[0] == "INFO" {
		text, err := c.bulk()
		return []string{text}, err
	}
	head, err := c.line()
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(string(head[1:]))
	if err != nil || head[0] != '*' {
		return nil, fmt.Errorf("redis: %q, want an array", head)
	}
	out := make([]string, n)
	for i := range out {
		if out[i], err = c.bulk(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// usedMemory is what Redis says that it holds.
func (c *redisConn) usedMemory() (int64, error) {
	info, err := c.ask("INFO", "memory")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info[0]) {
		if v, ok := strings.CutPrefix(line, "used_memory:"); ok {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, errors.New("redis: INFO has no used_memory")
}
