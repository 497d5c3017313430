package gateway

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/crestdb/crest/messages"
)

// boardRequest is a question for a board with what the answer depends on
// beside it. It is shared by all who ask the same, and not changed.
type boardRequest struct {
	query   messages.BoardQuery
	require string // "", certified or exact
	key     string // what shapes the answer: equal keys and versions, equal rows
	tag     string // of the key, as ETags end
}

// readBoardRequest reads a question for a board in one of its shapes.
func (s *Server) readBoardRequest(r *http.Request, shape string) (*boardRequest, error) {
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
	if err := p.done(); err != nil {
		return nil, err
	}
	// The order in which topics are excluded says nothing.
	req.query.Exclude = slices.Compact(slices.Sorted(slices.Values(req.query.Exclude)))
	req.name(shape)
	return req, nil
}

// name fills in what the answer is known by.
func (req *boardRequest) name(shape string) {
	q := &req.query
	b := make([]byte, 0, 64)
	b = append(b, shape...)
	for _, part := range append([]string{q.Window.String(), q.Cell.Category, q.Cell.Region}, q.Exclude...) {
		b = strconv.AppendQuote(b, part)
	}
	b = strconv.AppendInt(append(b, ' '), int64(q.K), 10)
	req.key = string(strconv.AppendInt(append(b, ' '), int64(q.MaxPerCategory), 10))
	h := fnv.New64a()
	_, _ = h.Write([]byte(req.key))
	req.tag = fmt.Sprintf(`-%016x"`, h.Sum64())
}

// etag names rows and bounds of one question. It is weak: as_of may differ
// beneath it.
func (req *boardRequest) etag(version string) string { return `W/"` + version + req.tag }

// noneMatches tells whether If-None-Match names the tag: then the client has
// the answer already.
func noneMatches(h http.Header, tag string) bool {
	weak := func(s string) string { return strings.TrimPrefix(strings.TrimSpace(s), "W/") }
	for _, line := range h["If-None-Match"] {
		for _, candidate := range strings.Split(line, ",") {
			if strings.TrimSpace(candidate) == "*" || weak(candidate) == weak(tag) {
				return true
			}
		}
	}
	return false
}

// boardRequests keeps questions that were read, by shape and query string:
// those who watch a board ask the same thing again and again. Bounded in number
// and length; when it is full it is emptied, like boardCache.
type boardRequests struct {
	mu    sync.RWMutex
	known map[boardAddress]*boardRequest
}

type boardAddress struct{ shape, query string }

// Bounds of what is kept.
const (
	maxKnownRequests = 4096
	maxKnownQuery    = 256 // bytes; a longer query is read each time
)

func (k *boardRequests) get(at boardAddress) *boardRequest {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.known[at]
}

func (k *boardRequests) put(at boardAddress, req *boardRequest) {
	if len(at.query) > maxKnownQuery || req.query.After != nil { // a position is asked for once
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnownRequests {
		k.known = make(map[boardAddress]*boardRequest)
	}
	at.query = strings.Clone(at.query) // the rest of the request goes
	k.known[at] = req
}

// boardRequest is the question for a board that r asks, in one of its shapes.
func (s *Server) boardRequest(r *http.Request, shape string) (*boardRequest, error) {
	at := boardAddress{shape, r.URL.RawQuery}
	if req := s.asked.get(at); req != nil {
		return req, nil
	}
	req, err := s.readBoardRequest(r, shape)
	if err != nil {
		return nil, err
	}
	s.asked.put(at, req)
	return req, nil
}
