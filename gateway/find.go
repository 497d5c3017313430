package gateway

import (
	"net/http"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// cells answers GET /api/v1/cells: which categories and regions there are.
func (s *Server) cells(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.CellsQuery{Window: p.window(messages.Window24h, "window"), After: s.after(p)}
	if err := p.done(); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	c, err := s.engine.Cells(ctx, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewCells(q, c))
}

// topics answers GET /api/v1/topics: which topics begin like this.
func (s *Server) topics(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.TopicsQuery{
		Prefix: p.prefix(),
		Window: p.window(messages.Window24h, "window"),
		Limit:  p.number(defaultTop, 1, messages.MaxK, "limit", "top", "k"),
		After:  s.after(p),
	}
	if err := p.done(); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	a, err := s.engine.Topics(ctx, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewTopics(q, a))
}

// prefix reads prefix=, the one parameter that may be empty: every topic
// begins with nothing, and search boxes ask so.
func (p *params) prefix() string {
	if values := p.values["prefix"]; len(values) == 1 && values[0] == "" {
		p.known = append(p.known, "prefix")
		return ""
	}
	_, v := p.one("prefix")
	p.fail(checkText("prefix", v, messages.MaxTopicBytes))
	return v
}
