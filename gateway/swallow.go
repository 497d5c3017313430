package gateway

import (
	"io"
	"net/http"
	"time"
)

const (
	swallowBytes = 64 << 20
	swallowTime  = 3 * time.Second
)

// swallow reads what is left of a refused request's body. Many clients send
// the whole of it before they look for an answer; if the connection were closed
// on them meanwhile they would see a reset instead of what is wrong. It reads a
// bounded part, for a bounded time. A client that waits for 100 Continue has
// not sent anything yet and is not asked to.
func swallow(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" {
		return
	}
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(swallowTime)) != nil {
		return // not a connection that could be cut off
	}
	_, _ = io.CopyN(io.Discard, r.Body, swallowBytes)
}
