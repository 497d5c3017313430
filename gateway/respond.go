package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const jsonType = "application/json"

// Header values that many answers have, shared by all of them. net/http copies
// them; whoever wants another one sets it, and never appends to these.
var (
	jsonHeader    = []string{jsonType}
	noCacheHeader = []string{"no-cache"}
	noSniffHeader = []string{"nosniff"}
)

// encode is v as JSON with a line end. Topics are shown as they are: nothing
// here is ever put into HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// answer writes v as JSON. Answers change with every event, so caches have to
// ask again.
func answer(w http.ResponseWriter, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	w.Header()["Cache-Control"] = noCacheHeader
	send(w, jsonHeader, b)
	return nil
}

// send writes a 200 with a body. That the client went away meanwhile is no
// error of ours, and there is nobody left to tell.
func send(w http.ResponseWriter, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// question bounds the engine's work on a request.
func (s *Server) question(r *http.Request) (context.Context, context.CancelFunc) {
	b := &bounded{Context: r.Context(), deadline: time.Now().Add(s.cfg.QueryTimeout)}
	return b, b.end
}

// noParams refuses every parameter.
func noParams(r *http.Request) error { return newParams(r).done() }
