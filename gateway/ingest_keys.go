package gateway

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"

	"github.com/dchest/siphash"

	"github.com/crestdb/crest/messages"
)

// An Idempotency-Key makes a whole request safe to retry. Two things decide
// about it: keyTable knows every key that is on its way to being applied, the
// engine every key that has been applied within the dedup window. A key is
// entered in the table before the engine is asked, and leaves it only after
// the engine knows it, so there is no moment at which neither does. (Where
// other gateways write to the same log that is not enough: see flyHomeFirst.)
//
// What a failed append means follows from Log: either the frame is not in the
// log, or the log takes nothing more in this process. In both cases the key
// may be tried again: the try is appended (the first was not), or fails as the
// first did (503), until the log has been opened again, replayed, and the
// engine's verdict includes the first try if it survived.
//
// A repeat is answered by judging the body again as of the first stamp: what
// was rejected then is rejected now, for the same reasons, and the answer is
// the same byte by byte (unless max-ahead was changed in between). Requests of which nothing was accepted append nothing
// and are not remembered: judged again they may well be accepted, such as
// events that were ahead of the clock.

// takeKeyed takes the events of a request with an Idempotency-Key.
func (in *ingest) takeKeyed(ctx context.Context, req *ingestRequest, body *bodyBuffer) (*outcome, error) {
	hash := in.bodyHash(req.media, body.data)
	for ctx.Err() == nil {
		f, mine := in.keys.claim(req.key, hash)
		switch {
		case mine && in.cfg.HomeFirst:
			return in.flyHomeFirst(ctx, req, body, f)
		case mine:
			return in.fly(ctx, req, body, f)
		}
		o, err := f.wait(ctx)
		switch {
		case err != nil:
			return nil, err
		case o == nil: // nothing was appended: the key is free again
			continue
		case f.hash != hash:
			return nil, keyConflict(req.key)
		}
		in.stats.repeats.Add(1)
		return o.as(req), nil
	}
	return nil, ctx.Err()
}

// fly takes the events under a key that nobody else has in flight.
func (in *ingest) fly(ctx context.Context, req *ingestRequest, body *bodyBuffer, f *keyFlight) (*outcome, error) {
	verdict, err := in.counter.Seen(ctx, &messages.KeyQuery{Key: req.key, BodyHash: f.hash})
	if err != nil || verdict.State != messages.KeyNew {
		in.keys.land(req.key, f, nil)
	}
	switch {
	case err != nil:
		return nil, err
	case verdict.State == messages.KeyConflict:
		return nil, keyConflict(req.key)
	case verdict.State == messages.KeySeen:
		return in.repeat(ctx, req, body, verdict)
	}
	// The stamp is taken after the verdict, so that it is not before the moment
	// at which the home partition had forgotten an earlier use of the key.
	p, err := in.prepare(ctx, req, body, in.cfg.Now())
	if err != nil {
		in.keys.land(req.key, f, nil)
		return nil, err
	}
	p.frame = p.builder.Frame(req.key, f.hash)
	return in.commit(ctx, req, p, func(pos messages.Position) {
		if pos == nil {
			in.keys.land(req.key, f, nil)
			return
		}
		in.keys.land(req.key, f, p.outcome)
		in.settle(req.key, p.outcome, pos)
	})
}

// settle frees a key once its home has applied the frame at pos. Until then
// what it holds counts as in flight.
func (in *ingest) settle(key string, o *outcome, pos messages.Position) {
	size := o.bytes() + int64(len(key))
	in.budget.force(size)
	home := in.builders.config.Routes.Home(key)
	only := make(messages.Position, len(pos))
	only[home] = pos[home]
	in.settles.Add(1)
	go func() {
		defer in.settles.Done()
		if err := in.counter.Await(in.settling, only); err != nil {
			// Either the node stops, or the home has failed and never will apply
			// anything: then the key stays as it is, with its answer.
			return
		}
		in.keys.free(key)
		in.budget.give(size)
	}()
}

// repeat gives the first answer again.
func (in *ingest) repeat(ctx context.Context, req *ingestRequest, body *bodyBuffer, first messages.KeyVerdict) (*outcome, error) {
	p, err := in.prepare(ctx, req, body, first.Stamp)
	if err != nil {
		return nil, err
	}
	defer in.discard(p)
	p.outcome.position = base64.RawURLEncoding.EncodeToString(first.Position) // as Position.Token does
	in.stats.repeats.Add(1)
	return p.outcome, nil
}

// bodyHashKey is the key of body hashes. Gateways of one Kafka log must agree
// about them, whatever secrets their nodes have, so there it follows from the
// log's id. That gives nothing away: a hash tells apart the bodies under one
// Idempotency-Key, so whoever finds two bodies of one hash fools only himself.
func bodyHashKey(id *messages.LogIdentity) (k0, k1 uint64) {
	if id.Routing == messages.RoutingMurmur2 {
		return siphash.Hash128(binary.LittleEndian.Uint64(id.ID[:8]), binary.LittleEndian.Uint64(id.ID[8:]), []byte("body"))
	}
	return id.Subkey("body")
}

// bodyHash identifies a body in one form.
func (in *ingest) bodyHash(m media, body []byte) (h messages.BodyHash) {
	lo, hi := siphash.Hash128(in.hashKey[0], in.hashKey[1]^uint64(m), body)
	binary.LittleEndian.PutUint64(h[:8], lo)
	binary.LittleEndian.PutUint64(h[8:], hi)
	return h
}

func keyConflict(key string) error {
	return &refusal{
		status: http.StatusConflict,
		title:  "Idempotency-Key conflict",
		detail: "Idempotency-Key " + quote(key) + " was used with another body. Nothing of this request is counted: give each request a key of its own, and repeat a request with its body unchanged.",
	}
}
