package client

import (
	"context"
	"net/http"

	"github.com/crestdb/crest/gateway/api"
)

// Content types of Events.
const (
	JSON    = "application/json"
	NDJSON  = "application/x-ndjson"
	MsgPack = "application/msgpack"
)

// Events is the body of one ingest request.
type Events struct {
	Body        []byte
	ContentType string // JSON, NDJSON or MsgPack
	Encoding    string // gzip or zstd if Body is compressed; empty: as it is
	// Key is the Idempotency-Key, 1 to 128 printable characters: the same key
	// and body again count once within the dedup window. Empty: none.
	Key string
	// NoAck asks for an answer before the events are durable.
	NoAck bool
}

// Ingest sends events. Without an error at least one was accepted; the answer
// names those that were rejected.
func (c *Client) Ingest(ctx context.Context, e *Events) (*api.Ingested, error) {
	header := http.Header{"Content-Type": {e.ContentType}}
	if e.Encoding != "" {
		header.Set("Content-Encoding", e.Encoding)
	}
	if e.Key != "" {
		header.Set("Idempotency-Key", e.Key)
	}
	path := "/api/v1/events"
	if e.NoAck {
		path += "?ack=none"
	}
	out := new(api.Ingested)
	err := c.retry.retrying(ctx, e.Key != "", func() error {
		*out = api.Ingested{}
		return c.do(ctx, http.MethodPost, path, header, e.Body, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
