package gateway

import (
	"net/http"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

const (
	defaultAround = 5
	maxAround     = 100
)

// rank answers GET /api/v1/topics/{topic}/rank and /api/v1/rank.
func (s *Server) rank(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.RankQuery{
		Topic:  p.topic(r),
		Window: p.window(messages.Window1h, "window"),
		Cell:   p.cell(),
		Around: p.number(defaultAround, 0, maxAround, "around"),
		After:  s.after(p),
	}
	if err := p.done(); err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	a, err := s.engine.Rank(ctx, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewRank(q, a))
}
