package gateway

import (
	"fmt"
	"net/http"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// maxTopics bounds the topics of one question.
const maxTopics = 1000

// topic is the topic of a request: cut from its path, or the parameter.
func (p *params) topic(r *http.Request) string {
	if t := r.PathValue(topicKey); t != "" {
		return t
	}
	_, t := p.one(topicKey)
	p.fail(checkTopic(topicKey, t))
	return t
}

// count answers GET /api/v1/topics/{topic}/count and /api/v1/count.
func (s *Server) count(w http.ResponseWriter, r *http.Request) error {
	p := newParams(r)
	q := &messages.CountQuery{
		Topics: []string{p.topic(r)},
		Window: p.window(messages.Window5m, "window"),
		Cell:   p.cell(),
		After:  s.after(p),
	}
	if err := p.done(); err != nil {
		return err
	}
	a, err := s.askCounts(r, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewCount(q, a))
}

// counts answers POST /api/v1/counts. The members of the body are checked by
// the same rules as the parameters of a single count.
func (s *Server) counts(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	body, err := readCountsRequest(w, r)
	if err != nil {
		return err
	}
	p := body.params()
	q := &messages.CountQuery{
		Topics: body.Topics,
		Window: p.window(messages.Window5m, "window"),
		Cell:   p.cell(),
		After:  s.after(p),
	}
	if n := len(q.Topics); n < 1 || n > maxTopics {
		p.fail(badParameter("topics", fmt.Sprintf("%d topics", n), fmt.Sprintf("1 to %d topics", maxTopics)))
	}
	for i, t := range q.Topics {
		p.fail(checkTopic(fmt.Sprintf("topics[%d]", i), t))
	}
	if err := p.done(); err != nil {
		return err
	}
	a, err := s.askCounts(r, q)
	if err != nil {
		return err
	}
	return answer(w, api.NewCounts(q, a))
}

func (s *Server) askCounts(r *http.Request, q *messages.CountQuery) (*messages.Counts, error) {
	ctx, cancel := s.question(r)
	defer cancel()
	return s.engine.Counts(ctx, q)
}
