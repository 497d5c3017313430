package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/crestdb/crest/gateway/decode"
	"github.com/crestdb/crest/messages"
)

// prepared is a decoded body: its frame and what will be answered.
type prepared struct {
	builder *decode.Builder
	charged int64 // bytes of the budget
	frame   *messages.Frame
	outcome *outcome
}

// prepare decodes a body as of a stamp, and releases it. The caller discards
// the result.
func (in *ingest) prepare(ctx context.Context, req *ingestRequest, body *bodyBuffer, stamp messages.Micros) (*prepared, error) {
	p, err := in.judge(ctx, req, body, stamp)
	body.release()
	return p, err
}

// judge decodes a body as of a stamp. The caller discards the result.
func (in *ingest) judge(ctx context.Context, req *ingestRequest, body *bodyBuffer, stamp messages.Micros) (*prepared, error) {
	b := in.builders.get(len(body.data))
	p := &prepared{builder: b, charged: int64(max(len(body.data), b.Capacity()))}
	if err := in.budget.take(ctx, p.charged); err != nil {
		in.builders.put(b)
		return nil, err
	}
	if len(body.data) > smallBody {
		b.Reserve(len(body.data))
	}
	if err := in.judgeInto(p, req, body, stamp); err != nil {
		in.discard(p)
		return nil, err
	}
	return p, nil
}

// judgeInto decodes a body into p, as of a stamp; what p had before is gone.
func (in *ingest) judgeInto(p *prepared, req *ingestRequest, body *bodyBuffer, stamp messages.Micros) error {
	p.builder.Reset(stamp)
	err := decodeBody(p.builder, req.media, body.data)
	// Text may grow where it is kept; that is known only now.
	if more := int64(p.builder.Capacity()) - p.charged; more > 0 {
		in.budget.force(more)
		p.charged += more
	}
	if err != nil {
		return malformed(err)
	}
	p.outcome = outcomeOf(p.builder, req)
	return nil
}

func decodeBody(b *decode.Builder, m media, body []byte) error {
	switch m {
	case mediaNDJSON:
		return b.NDJSON(body)
	case mediaMsgpack:
		return b.Msgpack(body)
	}
	return b.JSON(body)
}

// discard gives back what prepare took.
func (in *ingest) discard(p *prepared) {
	in.builders.put(p.builder)
	in.budget.give(p.charged)
}

// commit appends what was prepared, if there is anything, and settles what is
// answered. With ack=none it does so behind the answer. landed, if not nil, is
// called once it is known whether the frame is in the log, with the position
// of a frame that is.
func (in *ingest) commit(ctx context.Context, req *ingestRequest, p *prepared, landed func(messages.Position)) (*outcome, error) {
	if landed == nil {
		landed = func(messages.Position) {}
	}
	if p.outcome.accepted == 0 {
		defer in.discard(p)
		landed(nil)
		in.counted(p.outcome)
		return p.outcome, nil
	}
	if p.frame == nil {
		p.frame = p.builder.Frame("", messages.BodyHash{})
	}
	err := frameFits(p.frame)
	if err == nil {
		err = in.counter.Admit(ctx, p.frame, p.builder.IDs() || p.frame.Key != "")
	}
	if err != nil {
		in.discard(p)
		landed(nil)
		return nil, err
	}
	if !req.ackNone {
		return p.outcome, in.append(p, landed)
	}
	atOnce := *p.outcome // the background sets the position in the other one
	in.working.Add(1)    // within a request, so before Close waits
	go func() {
		defer in.working.Done()
		if err := in.append(p, landed); err != nil {
			in.stats.lost.Add(uint64(atOnce.accepted))
			in.cfg.Logger.Error("events answered with ack=none are lost", "events", atOnce.accepted, "error", err)
		}
	}()
	return &atOnce, nil
}

// maxFrame bounds what one body may become. Only msgpack grows so much, by five
// at most, and only where --max-body was raised.
const maxFrame = 192 << 20

func frameFits(f *messages.Frame) error {
	if n := f.Bytes(); n > maxFrame {
		return &refusal{
			status: http.StatusRequestEntityTooLarge,
			title:  "Body too large",
			detail: fmt.Sprintf("The events take %d bytes as they are stored; at most %d are allowed. Send them in several requests.", n, maxFrame),
			extra:  map[string]any{"limit": maxFrame},
		}
	}
	return nil
}

// append makes a frame durable. It does not end with the client's interest,
// which would leave the frame's fate open; Close ends it.
func (in *ingest) append(p *prepared, landed func(messages.Position)) error {
	pos := make(messages.Position, in.cfg.Identity.Partitions)
	err := in.log.Append(in.appends, p.frame, pos)
	in.discard(p)
	if err != nil {
		landed(nil)
		return in.notAppended(err, false)
	}
	p.outcome.position = pos.Token(in.cfg.Identity.ID)
	in.counted(p.outcome)
	landed(pos)
	return nil
}

func (in *ingest) counted(o *outcome) {
	in.stats.accepted.Add(uint64(o.accepted))
	in.stats.rejected.Add(uint64(o.rejected))
	if in.cfg.Counted != nil {
		in.cfg.Counted(o.accepted, o.rejected)
	}
}

// malformed is the answer to a body that cannot be understood.
func malformed(err error) error {
	re := &refusal{
		status: http.StatusBadRequest,
		title:  "Malformed body",
		detail: sentence(err.Error()) + " Send one event, or a batch of at least one.",
		extra:  map[string]any{},
	}
	var at *decode.SyntaxError
	if !errors.As(err, &at) {
		return re
	}
	re.detail = "The body is malformed at " + at.Error() + ". Nothing of it is counted."
	if at.Line > 0 {
		re.extra["line"], re.extra["column"] = at.Line, at.Column
	} else {
		re.extra["offset"] = at.Offset
	}
	return re
}
