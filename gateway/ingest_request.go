package gateway

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/crestdb/crest/messages"
)

// ingestRequest is what an ingest request says outside of its body.
type ingestRequest struct {
	key      string // Idempotency-Key, "" without one
	media    media
	encoding encoding
	ackNone  bool // answer before the events are durable
}

// media is the form of a body. It is part of a keyed request's identity.
type media uint8

const (
	mediaUnknown media = iota // not said: see sniff
	mediaJSON
	mediaNDJSON
	mediaMsgpack
)

// encoding is the compression of a body.
type encoding uint8

const (
	encodingNone encoding = iota
	encodingGzip
	encodingZstd
)

const (
	acceptedTypes     = "application/json, application/x-ndjson, application/msgpack"
	acceptedEncodings = "gzip, zstd, identity"
)

// readIngestRequest reads parameters and headers, strictly.
func readIngestRequest(w http.ResponseWriter, r *http.Request) (*ingestRequest, error) {
	req := &ingestRequest{}
	var err error
	if r.URL.RawQuery != "" {
		req.ackNone, err = readAck(newParams(r))
	}
	if err == nil {
		req.key, err = idempotencyKey(r.Header)
	}
	if err == nil {
		req.media, err = mediaOf(w, r.Header)
	}
	if err == nil {
		req.encoding, err = encodingOf(w, r.Header)
	}
	return req, err
}

func readAck(p *params) (none bool, err error) {
	name, ack := p.one("ack")
	if ack != "" && ack != "durable" && ack != "none" {
		p.fail(badParameter(name, ack, "durable or none"))
	}
	return ack == "none", p.done()
}

func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	printable := strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) < 0
	if len(values) > 1 || key == "" || len(key) > messages.MaxKeyBytes || !printable {
		return "", badRequest("Idempotency-Key %s: want one key of 1 to %d printable ASCII characters.", quote(strings.Join(values, ", ")), messages.MaxKeyBytes)
	}
	return key, nil
}

// mediaNames are the types that are taken, without parameters.
var mediaNames = map[string]media{
	"":                        mediaUnknown,
	"application/json":        mediaJSON,
	"application/x-ndjson":    mediaNDJSON,
	"application/ndjson":      mediaNDJSON,
	"application/jsonl":       mediaNDJSON,
	"application/msgpack":     mediaMsgpack,
	"application/x-msgpack":   mediaMsgpack,
	"application/vnd.msgpack": mediaMsgpack,
}

func mediaOf(w http.ResponseWriter, h http.Header) (media, error) {
	values := h.Values("Content-Type")
	if len(values) == 0 {
		return mediaUnknown, nil
	}
	if m, ok := mediaNames[values[0]]; ok && len(values) == 1 {
		return m, nil
	}
	sent := strings.Join(values, ", ")
	name, params, err := mime.ParseMediaType(sent)
	if charset := params["charset"]; err == nil && charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		err = fmt.Errorf("charset %s", charset)
	}
	if m, ok := mediaNames[name]; ok && name != "" && err == nil {
		return m, nil
	}
	hint := ""
	if name == "application/x-www-form-urlencoded" {
		hint = ` (curl sends this unless told otherwise: add -H "Content-Type: application/json")`
	}
	w.Header().Set("Accept-Post", acceptedTypes)
	return 0, &refusal{
		status: http.StatusUnsupportedMediaType,
		title:  "Unsupported media type",
		detail: fmt.Sprintf("Content-Type %s: want one of %s, in UTF-8%s.", quote(sent), acceptedTypes, hint),
		extra:  map[string]any{"allowed": acceptedTypes},
	}
}

func encodingOf(w http.ResponseWriter, h http.Header) (encoding, error) {
	values := h.Values("Content-Encoding")
	if len(values) == 0 {
		return encodingNone, nil
	}
	sent := strings.Join(values, ", ")
	switch strings.ToLower(strings.TrimSpace(sent)) {
	case "", "identity":
		return encodingNone, nil
	case "gzip", "x-gzip":
		return encodingGzip, nil
	case "zstd":
		return encodingZstd, nil
	}
	w.Header().Set("Accept-Encoding", acceptedEncodings)
	return 0, &refusal{
		status: http.StatusUnsupportedMediaType,
		title:  "Unsupported encoding",
		detail: fmt.Sprintf("Content-Encoding %s: want one of %s.", quote(sent), acceptedEncodings),
		extra:  map[string]any{"allowed": acceptedEncodings},
	}
}

// sniff tells the form of a body that came without a Content-Type. Several
// lines are NDJSON if a line that begins an object follows one that ends with
// one: within a single JSON value a brace never follows a closing brace.
func sniff(body []byte) media {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(body) > 0 && isPackedEvents(body[0]) {
		return mediaMsgpack
	}
	first, rest, _ := bytes.Cut(bytes.TrimLeft(body, " \t\r\n"), []byte{'\n'})
	first, rest = bytes.TrimRight(first, " \t\r"), bytes.TrimLeft(rest, " \t\r\n")
	if bytes.HasPrefix(first, []byte{'{'}) && bytes.HasSuffix(first, []byte{'}'}) && bytes.HasPrefix(rest, []byte{'{'}) {
		return mediaNDJSON
	}
	return mediaJSON
}

// isPackedEvents tells whether a byte begins a map or an array in msgpack;
// neither can begin a text.
func isPackedEvents(c byte) bool {
	return c >= 0x80 && c <= 0x9f || c >= 0xdc && c <= 0xdf
}
