package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

const (
	defaultTop = 10
	// maxExclude bounds exclude=; a longer list belongs into the client's own
	// filter over a longer board.
	maxExclude = 100
)

// boardRequest is a question for a board with what the answer depends on
// beside it.
type boardRequest struct {
	query   messages.BoardQuery
	require string // "", certified or exact
}

// trending answers GET /api/v1/trending.
func (s *Server) trending(w http.ResponseWriter, r *http.Request) error {
	return s.board(w, r, "board", func(b *messages.Board) any { return api.NewBoard(b) })
}

// videoTrending answers GET /api/trending: the same board in the shape of
// video services.
func (s *Server) videoTrending(w http.ResponseWriter, r *http.Request) error {
	return s.board(w, r, "video", func(b *messages.Board) any { return api.NewVideoBoard(b) })
}

func (s *Server) board(w http.ResponseWriter, r *http.Request, shape string, convert func(*messages.Board) any) error {
	req, err := s.boardRequest(r)
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
	key := shape + req.key()
	w.Header().Set("ETag", etag(key, b.Version))
	w.Header().Set("Cache-Control", "no-cache")
	if noneMatches(r.Header, etag(key, b.Version)) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := s.boards.encoded(key, b, func() ([]byte, error) { return encode(convert(b)) })
	if err != nil {
		return err
	}
	send(w, jsonType, body)
	return nil
}

func (s *Server) boardRequest(r *http.Request) (*boardRequest, error) {
	p := newParams(r)
	req := &boardRequest{query: messages.BoardQuery{
		Window:         p.window(messages.Window1h, "window"),
		Cell:           p.cell(),
		K:              p.number(defaultTop, 1, messages.MaxK, "top", "limit", "k"),
		After:          s.after(p),
		Exclude:        p.topics("exclude", maxExclude),
		MaxPerCategory: p.number(0, 1, messages.MaxK, "max_per_category"),
	}}
	p.ranking()
	if _, v := p.one("require"); v != "" {
		req.require = v
		if v != "certified" && v != "exact" {
			p.fail(badParameter("require", v, "certified or exact"))
		}
	}
	p.notYet("at", "from", "to", "metadata", "explain", "half_life")
	// The order in which topics are excluded says nothing.
	req.query.Exclude = slices.Compact(slices.Sorted(slices.Values(req.query.Exclude)))
	return req, p.done()
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

// key says what shapes the answer: equal keys and versions, equal rows.
func (req *boardRequest) key() string {
	q := &req.query
	b := make([]byte, 0, 64)
	for _, part := range append([]string{q.Window.String(), q.Cell.Category, q.Cell.Region}, q.Exclude...) {
		b = strconv.AppendQuote(b, part)
	}
	b = strconv.AppendInt(append(b, ' '), int64(q.K), 10)
	return string(strconv.AppendInt(append(b, ' '), int64(q.MaxPerCategory), 10))
}
