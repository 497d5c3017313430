package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultAddr is where a node listens unless it is told otherwise.
const DefaultAddr = "http://127.0.0.1:8080"

// maxAnswer bounds the bytes of an answer that are read; the largest a node
// gives has 100,000 points.
const maxAnswer = 64 << 20

// Client speaks to one node. It may be used by many goroutines at once.
type Client struct {
	base  string // without a / at its end
	http  *http.Client
	retry Retry
	agent string
}

// Option changes a Client as it is made.
type Option func(*Client)

// WithConnections bounds the idle connections that are kept open; give the
// number of goroutines that will use the client. Default: 16.
func WithConnections(n int) Option {
	return func(c *Client) {
		t := c.http.Transport.(*http.Transport)
		t.MaxIdleConns, t.MaxIdleConnsPerHost = n, n
	}
}

// WithTimeout bounds each request, beside its context. Default: 1 min.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) { c.http.Timeout = d }
}

// WithRetry makes Ingest try again; see Retry.
func WithRetry(r Retry) Option {
	return func(c *Client) { c.retry = r }
}

// WithUserAgent names the program. Default: crest-client.
func WithUserAgent(name string) Option {
	return func(c *Client) { c.agent = name }
}

// New makes a client of the node at addr: http://HOST:PORT, or HOST:PORT.
func New(addr string, opts ...Option) (*Client, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("address %q: want http://HOST:PORT", addr)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 16, 16
	c := &Client{
		base:  strings.TrimRight(addr, "/"),
		agent: "crest-client",
		http: &http.Client{
			Transport: t,
			Timeout:   time.Minute,
			// A node never redirects; whoever does is not a node.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// Addr is the address of the node.
func (c *Client) Addr() string { return c.base }

// Close gives back the connections that are kept open.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// get asks a question; the answer is decoded into out, nil for none.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, nil, out)
}

// do sends one request and decodes a 200 into out. Any other answer is an
// *Error.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.base, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.base, unwrapURL(err))
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection can be used again.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	if len(answer) > maxAnswer {
		return fmt.Errorf("answer of %s is longer than %d bytes", c.base, maxAnswer)
	}
	if resp.StatusCode != http.StatusOK {
		return newError(resp, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("answer of %s is not crest's: %w", c.base, err)
	}
	return nil
}

// unwrapURL takes off the method and address that net/http puts before an
// error; callers put their own.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
