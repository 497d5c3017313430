// Package api holds the JSON that crest speaks over HTTP: one Go type per
// answer and request body, used by the gateway, which writes them, and by its
// clients, which read them. openapi.yaml describes the same shapes in words.
//
// It is the only place that names a JSON field. It holds no behaviour but the
// conversion from the engine's vocabulary (package messages).
package api
