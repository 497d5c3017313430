package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/crestdb/crest/gateway/api"
)

// Scope is what most questions have in common. The zero value means the
// node's default window, any category, any region, and what is counted now.
type Scope struct {
	Window   string // 5m, 37m, 7d, all, …
	Category string
	Region   string
	After    string // position of an ingest answer that has to be counted first
}

func (s *Scope) values() url.Values {
	v := url.Values{}
	set(v, "window", s.Window)
	set(v, "category", s.Category)
	set(v, "region", s.Region)
	set(v, "after", s.After)
	return v
}

// set leaves a parameter out that was not given.
func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func setNumber(v url.Values, name string, n int) {
	if n != 0 {
		v.Set(name, strconv.Itoa(n))
	}
}

// TrendingQuery asks for a board.
type TrendingQuery struct {
	Scope
	Top            int      // rows, 1 to 1000; 0: 10
	Exclude        []string // topics to leave out
	MaxPerCategory int      // rows of one category; 0: no bound
	Require        string   // certified or exact: refuse a board that is less
}

// Trending is the top of a cell in a window.
func (c *Client) Trending(ctx context.Context, q TrendingQuery) (*api.Board, error) {
	v := q.values()
	setNumber(v, "top", q.Top)
	setNumber(v, "max_per_category", q.MaxPerCategory)
	set(v, "require", q.Require)
	if len(q.Exclude) > 0 {
		v["exclude"] = q.Exclude
	}
	return ask[api.Board](ctx, c, "/api/v1/trending", v)
}

// Count is how often a topic occurred.
func (c *Client) Count(ctx context.Context, topic string, s Scope) (*api.Count, error) {
	return ask[api.Count](ctx, c, "/api/v1/count", withTopic(topic, s))
}

// Counts is how often each of up to 1000 topics occurred, in their order.
func (c *Client) Counts(ctx context.Context, topics []string, s Scope) (*api.Counts, error) {
	body, err := json.Marshal(api.CountsRequest{Topics: topics, Window: s.Window, Region: s.Region, Category: s.Category, After: s.After})
	if err != nil {
		return nil, fmt.Errorf("encode question: %w", err)
	}
	out := new(api.Counts)
	if err := c.do(ctx, http.MethodPost, "/api/v1/counts", http.Header{"Content-Type": {JSON}}, body, out); err != nil {
		return nil, err
	}
	return out, nil
}

// History is how a topic's count developed. An empty granularity lets the node
// choose.
func (c *Client) History(ctx context.Context, topic, granularity string, s Scope) (*api.History, error) {
	v := withTopic(topic, s)
	set(v, "granularity", granularity)
	return ask[api.History](ctx, c, "/api/v1/history", v)
}

// TrendingHistory is how the topics that lead the window developed, top of
// them (0: 10), and everything else together.
func (c *Client) TrendingHistory(ctx context.Context, top int, granularity string, s Scope) (*api.BoardHistory, error) {
	v := s.values()
	setNumber(v, "top", top)
	set(v, "granularity", granularity)
	return ask[api.BoardHistory](ctx, c, "/api/v1/trending/history", v)
}

// Rank is a topic's rank with around (0: 5) neighbours above and below.
func (c *Client) Rank(ctx context.Context, topic string, around int, s Scope) (*api.Rank, error) {
	v := withTopic(topic, s)
	setNumber(v, "around", around)
	return ask[api.Rank](ctx, c, "/api/v1/rank", v)
}

// Cells are the categories and regions with their totals in a window.
func (c *Client) Cells(ctx context.Context, window string) (*api.Cells, error) {
	return ask[api.Cells](ctx, c, "/api/v1/cells", (&Scope{Window: window}).values())
}

// Topics are up to limit (0: 10) topics that begin with prefix, greatest
// first.
func (c *Client) Topics(ctx context.Context, prefix, window string, limit int) (*api.Topics, error) {
	v := (&Scope{Window: window}).values()
	set(v, "prefix", prefix)
	setNumber(v, "limit", limit)
	return ask[api.Topics](ctx, c, "/api/v1/topics", v)
}

// Health is the state of the node.
func (c *Client) Health(ctx context.Context) (*api.Health, error) {
	return ask[api.Health](ctx, c, "/api/v1/health", nil)
}

// Ready is nil once the node answers questions and takes events; an *Error
// says why it does not.
func (c *Client) Ready(ctx context.Context) error { return c.get(ctx, "/readyz", nil, nil) }

// Ledger accounts for every event of the node.
func (c *Client) Ledger(ctx context.Context) (*api.Ledger, error) {
	return ask[api.Ledger](ctx, c, "/api/v1/ledger", nil)
}

// Status is the node for its operator.
func (c *Client) Status(ctx context.Context) (*api.Status, error) {
	return ask[api.Status](ctx, c, "/api/v1/status", nil)
}

// Metrics is the node at a glance.
func (c *Client) Metrics(ctx context.Context) (*api.Metrics, error) {
	return ask[api.Metrics](ctx, c, "/api/v1/metrics", nil)
}

// withTopic names the topic as a parameter: in a path a proxy might rewrite
// it.
func withTopic(topic string, s Scope) url.Values {
	v := s.values()
	v.Set("topic", topic)
	return v
}

func ask[T any](ctx context.Context, c *Client, path string, v url.Values) (*T, error) {
	out := new(T)
	if err := c.get(ctx, path, v, out); err != nil {
		return nil, err
	}
	return out, nil
}
