package gateway

import (
	"fmt"
	"net/http"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

const (
	defaultTop = 10
	// maxExclude bounds exclude=; a longer list belongs into the client's own
	// filter over a longer board.
	maxExclude = 100
)

// trending answers GET /api/v1/trending.
func (s *Server) trending(w http.ResponseWriter, r *http.Request) error {
	return s.board(w, r, "board", encodeBoard)
}

// videoTrending answers GET /api/trending: the same board in the shape of
// video services.
func (s *Server) videoTrending(w http.ResponseWriter, r *http.Request) error {
	return s.board(w, r, "video", func(b *messages.Board) ([]byte, error) { return encode(api.NewVideoBoard(b)) })
}

func (s *Server) board(w http.ResponseWriter, r *http.Request, shape string, encode func(*messages.Board) ([]byte, error)) error {
	req, err := s.boardRequest(r, shape)
	if err != nil {
		return err
	}
	ctx, cancel := s.question(r)
	defer cancel()
	b, err := s.engine.Board(ctx, &req.query)
	if err != nil {
		return err
	}
	if err := req.check(b); err != nil {
		return err
	}
	tag, h := req.etag(b.Version), w.Header()
	h["Etag"], h["Cache-Control"] = []string{tag}, noCacheHeader
	if noneMatches(r.Header, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := s.boards.encoded(req.key, b, func() ([]byte, error) { return encode(b) })
	if err != nil {
		return err
	}
	send(w, jsonHeader, body)
	return nil
}

// ranking reads rank=. One ranking is served so far; the others of the
// contract are refused by name.
func (p *params) ranking() {
	_, v := p.one("rank")
	switch v {
	case "", api.RankCount:
	case "growth", "burst", "decay", "users":
		p.fail(badParameter("rank", v, "count: the other rankings are not served by this version"))
	default:
		p.fail(badParameter("rank", v, "count"))
	}
}

// check refuses a board that is less than the client requires.
func (req *boardRequest) check(b *messages.Board) error {
	certified := b.Certified >= len(b.Rows) && complete(b)
	if req.require == "" || req.require == "certified" && certified || b.Exact {
		return nil
	}
	known := fmt.Sprintf("%d of the %d rows are certified", b.Certified, len(b.Rows))
	if !complete(b) {
		known += ", topics that are not among them may follow"
	}
	return &refusal{
		status: http.StatusConflict,
		title:  "Board not " + req.require,
		detail: fmt.Sprintf("%s, exact is %t; ask for a smaller top, or without require=%s.", known, b.Exact, req.require),
		extra:  map[string]any{"certified": b.Certified, "rows": len(b.Rows), "exact": b.Exact},
	}
}

// complete tells whether a board has all the rows that it should: as many as
// were asked for, or every topic of the cell. A short board may lack topics
// whose counts are known within bounds only.
func complete(b *messages.Board) bool {
	if len(b.Rows) >= b.K || b.Exact {
		return true
	}
	var listed uint64
	for i := range b.Rows {
		listed += b.Rows[i].Count.Lower
	}
	return listed >= b.Total.Upper
}
