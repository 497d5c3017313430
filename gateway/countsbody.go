package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// maxCountsBody bounds the body of POST /api/v1/counts: 1000 topics of 512
// bytes fit even if every byte of them is written as an escape.
const maxCountsBody = 4 << 20

// countsBody is the body as it was sent; a member that was not sent is not in
// given.
type countsBody struct {
	Topics []string
	given  url.Values // window, category, region, after
}

// params are the members other than topics, read like a query string's.
func (b *countsBody) params() *params { return &params{values: b.given} }

func readCountsRequest(w http.ResponseWriter, r *http.Request) (*countsBody, error) {
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != jsonType {
			return nil, &refusal{status: http.StatusUnsupportedMediaType, title: "Unsupported media type",
				detail: fmt.Sprintf("Content-Type %s: send %s.", quote(t), jsonType)}
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, title: "Unsupported encoding",
			detail: fmt.Sprintf("Content-Encoding %s: send the question as it is.", quote(e))}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCountsBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, title: "Body too large",
			detail: fmt.Sprintf("The body is longer than %d bytes; ask for fewer topics at once.", tooLarge.Limit)}
	case err != nil:
		return nil, badRequest("The body could not be read to its end (%v); send it again.", err)
	case !utf8.Valid(raw):
		return nil, badRequest("The body is not UTF-8.")
	}
	return parseCounts(raw)
}

// parseCounts reads one object whose members are named exactly and once;
// encoding/json alone would take "Topics", the last of two, and what follows.
func parseCounts(raw []byte) (*countsBody, error) {
	body := &countsBody{given: url.Values{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, countsSyntax(d, err)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, countsSyntax(d, err)
		}
		if seen[name] {
			return nil, badRequest("The body has %s twice.", quote(name))
		}
		seen[name] = true
		if err := body.member(d, name); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, countsSyntax(d, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, badRequest("There is more behind the object at byte %d; send one object.", d.InputOffset())
	}
	return body, nil
}

func (b *countsBody) member(d *json.Decoder, name string) error {
	switch name {
	case "topics":
		var topics []*string
		if err := d.Decode(&topics); err != nil {
			return countsSyntax(d, err)
		}
		b.Topics = make([]string, len(topics))
		for i, t := range topics {
			if t == nil {
				return badParameter(fmt.Sprintf("topics[%d]", i), "null", "a string")
			}
			b.Topics[i] = *t
		}
	case "window", "category", "region", "after":
		var v *string
		if err := d.Decode(&v); err != nil {
			return countsSyntax(d, err)
		}
		if v != nil { // null is as good as nothing
			b.given.Set(name, *v)
		}
	default:
		return &refusal{status: http.StatusBadRequest, title: "Unknown member",
			detail: fmt.Sprintf("%s is not known here; the body takes topics, window, category, region, after.", quote(name)),
			extra:  map[string]any{"parameter": clip(name)}}
	}
	return nil
}

func countsSyntax(d *json.Decoder, err error) error {
	reason := `want one object such as {"topics":["a","b"],"window":"1h"}`
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		reason = fmt.Sprintf("want strings, and an array of strings for topics, not %s", wrongType.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		reason = "it ends too early"
	case err != nil:
		reason = err.Error()
	}
	return badRequest("The body is not what is asked for at byte %d: %s.", d.InputOffset(), reason)
}
