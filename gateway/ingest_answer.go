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

// write answers; an error is the answer to a single event that was rejected.
func (o *outcome) write(w http.ResponseWriter) error {
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
