package gateway

import (
	"net/http"
	"strconv"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/decode"
)

// outcome is what became of the events of one request. Once it is shared by
// requests with one key it is not changed any more.
type outcome struct {
	batch      bool
	ackNone    bool
	topic      string
	accepted   int
	rejected   int
	rejections []decode.Rejection
	position   string
}

func outcomeOf(b *decode.Builder, req *ingestRequest) *outcome {
	return &outcome{
		batch: b.Batch(), ackNone: req.ackNone, topic: b.Topic(),
		accepted: b.Accepted(), rejected: b.Rejected(), rejections: b.Rejections(),
	}
}

// bytes is about what a remembered outcome and its key take.
func (o *outcome) bytes() int64 {
	n := int64(1<<10 + len(o.topic) + len(o.position))
	for i := range o.rejections {
		n += int64(64 + len(o.rejections[i].Reason))
	}
	return n
}

// as is the outcome as a request asks for it.
func (o *outcome) as(req *ingestRequest) *outcome {
	same := *o
	same.ackNone = req.ackNone
	return &same
}

// plain is the answer to events that were all accepted, byte for byte as
// encoding/json writes it, or nil if it takes more than copying. It is what
// nearly every request is told, and encoding/json took as long for it as the
// event took to be read.
func (o *outcome) plain() []byte {
	if o.ackNone || o.rejected > 0 || o.accepted == 0 || !o.batch && !plainText(o.topic) {
		return nil
	}
	b := make([]byte, 0, 128+len(o.topic)+len(o.position))
	if o.batch {
		b = append(b, `{"status":"success","accepted":`...)
		b = strconv.AppendInt(b, int64(o.accepted), 10)
		b = append(b, `,"rejected":0,"errors":[],"position":"`...)
	} else {
		b = append(b, `{"status":"success","message":"Event ingested","topic":"`...)
		b = append(b, o.topic...)
		b = append(b, `","accepted":1,"rejected":0,"position":"`...)
	}
	b = append(b, o.position...) // base64
	return append(b, '"', '}', '\n')
}

// plainText tells whether a topic is written into JSON as it is. Topics are
// UTF-8 without control characters; what is left are quotes, backslashes, and
// the line separators that encoding/json escapes.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' || c == 0xe2 {
			return false
		}
	}
	return true
}

// write answers; an error is the answer to a single event that was rejected.
func (o *outcome) write(w http.ResponseWriter) error {
	if body := o.plain(); body != nil {
		w.Header()["Content-Type"] = jsonHeader
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
		return nil
	}
	a := api.Ingested{Status: "success", Accepted: &o.accepted, Rejected: &o.rejected, Position: o.position}
	if o.ackNone {
		a.Ack, a.Position = "none", ""
	}
	status := http.StatusOK
	errors := make([]api.Rejection, len(o.rejections))
	for i, r := range o.rejections {
		errors[i] = api.Rejection(r)
	}
	switch {
	case !o.batch && o.accepted == 0:
		return &refusal{
			status: http.StatusUnprocessableEntity,
			title:  "Event rejected",
			detail: "The event was rejected: " + errors[0].Reason + ". Nothing is counted.",
			extra:  map[string]any{"errors": errors},
		}
	case !o.batch:
		a.Message, a.Topic = "Event ingested", o.topic
	default:
		a.Errors = errors
		if o.rejected > 0 {
			a.Status = "partial"
		}
		if o.accepted == 0 {
			status = http.StatusUnprocessableEntity
			a.Detail = "All events were rejected and nothing is counted; errors says why."
		}
	}
	body, err := encode(a)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	return nil
}
