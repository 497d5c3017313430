package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crestdb/crest/messages"
)

// homeWait bounds how long a request waits for the block at its key's home to
// be counted. With the time that a log tries to write (minutes) it stays below
// the time for which partitions remember the blocks that follow longer than the
// home remembers the first (the ingest actors' FollowSlack, 10 minutes): so what
// follows a verdict always meets what followed it before.
const homeWait = time.Minute

// flyHomeFirst takes the events under a key that nobody else has in flight here,
// into a log whose blocks land one by one, and which other gateways write to as
// well: no table of keys knows what they have on their way.
//
// So the log decides, by its order: a block without events goes to the key's
// home partition, and once that is counted the engine is asked what it met there.
// The first block under a key within the dedup window wins, for everybody. Only
// then the events follow, in blocks that name the first (Frame.Follows), and only
// when these are durable the request is answered.
//
// Whoever dies on the way leaves a key with some of its events. Therefore
// whoever repeats the request appends them all again, always, judged as of the
// first's stamp and so the same; a partition drops what it has. For that the
// events must be the same whoever writes them, so none are in the block at home:
// it is written before the stamp that counts is known.
func (in *ingest) flyHomeFirst(ctx context.Context, req *ingestRequest, body *bodyBuffer, f *keyFlight) (*outcome, error) {
	// What is counted already is asked first: a repeat needs no block at home.
	q := &messages.KeyQuery{Key: req.key, BodyHash: f.hash}
	first, err := in.counter.Seen(ctx, q)
	if err == nil && first.State == messages.KeyConflict {
		err = keyConflict(req.key)
	}
	stamp := first.Stamp
	if first.State == messages.KeyNew {
		stamp = in.cfg.Now()
	}
	var p *prepared
	if err == nil {
		p, err = in.judge(ctx, req, body, stamp)
	}
	if err != nil {
		in.keys.land(req.key, f, nil)
		return nil, err
	}
	if p.outcome.accepted > 0 {
		p.frame = p.builder.Frame(req.key, f.hash)
		if err = frameFits(p.frame); err == nil {
			err = in.counter.Admit(ctx, p.frame, true)
		}
	}
	if err != nil || p.outcome.accepted == 0 {
		in.discard(p)
		in.keys.land(req.key, f, nil)
		if err != nil {
			return nil, err
		}
		in.counted(p.outcome)
		return p.outcome, nil
	}
	k := &keyed{query: q, req: req, flight: f, prepared: p, body: body, first: first}
	if !req.ackNone {
		return in.decide(k)
	}
	atOnce, kept := *p.outcome, *body // the background has the others
	body.data, k.body = nil, &kept
	in.working.Add(1) // within a request, so before Close waits
	go func() {
		defer in.working.Done()
		if _, err := in.decide(k); err != nil {
			in.stats.lost.Add(uint64(atOnce.accepted))
			in.cfg.Logger.Error("events answered with ack=none are lost", "events", atOnce.accepted, "error", err)
		}
	}()
	return &atOnce, nil
}

// keyed is a request under an Idempotency-Key on its way into the log.
type keyed struct {
	query  *messages.KeyQuery
	req    *ingestRequest
	flight *keyFlight
	*prepared
	body *bodyBuffer // kept: the first may have been judged at another stamp
	// first is what is first under the key; KeyNew while that is not decided.
	first messages.KeyVerdict
}

// decide brings a request into the log, home first, and lands its flight. As an
// append it does not end with the client's interest.
func (in *ingest) decide(k *keyed) (*outcome, error) {
	o, err := in.follow(k)
	in.discard(k.prepared)
	k.body.release()
	in.keys.land(k.query.Key, k.flight, o)
	if err == nil {
		in.keys.free(k.query.Key) // the engine knows it
	}
	return o, err
}

func (in *ingest) follow(k *keyed) (*outcome, error) {
	pos := make(messages.Position, in.cfg.Identity.Partitions)
	stamp, repeat := k.frame.Stamp, k.first.State == messages.KeySeen
	if !repeat {
		if err := in.askHome(k, pos); err != nil {
			return nil, err
		}
	}
	if k.first.Stamp != stamp {
		// Somebody else was first, and others may have appended what follows.
		repeat = true
		if err := in.judgeInto(k.prepared, k.req, k.body, k.first.Stamp); err != nil {
			return nil, err
		}
	}
	k.body.release()
	first, home, err := in.homeOf(k.query.Key, &k.first)
	if err != nil {
		return nil, err
	}
	f := k.builder.Frame("", messages.BodyHash{})
	f.Key, f.BodyHash, f.Follows = k.query.Key, k.query.BodyHash, &messages.Followed{Home: home, Until: k.first.Until}
	pos.Raise(first)
	if len(f.Blocks) > 0 {
		behind := make(messages.Position, len(pos))
		if err := in.log.Append(in.appends, f, behind); err != nil {
			return nil, in.notAppended(err, true)
		}
		pos.Raise(behind)
	}
	k.outcome.position = pos.Token(in.cfg.Identity.ID)
	if repeat {
		in.stats.repeats.Add(1)
	} else {
		in.counted(k.outcome)
	}
	return k.outcome, nil
}

// askHome appends the key's block to its home partition, waits until it is
// counted, and asks what it met there. Nothing else of the request is in the log.
func (in *ingest) askHome(k *keyed, pos messages.Position) error {
	home := in.builders.config.Routes.Home(k.query.Key)
	f := &messages.Frame{
		Kind: messages.FrameEvents, Stamp: k.frame.Stamp, Key: k.query.Key, BodyHash: k.query.BodyHash,
		Blocks: []messages.Block{{Partition: home}},
	}
	if err := in.log.Append(in.appends, f, pos); err != nil {
		return in.notAppended(err, true)
	}
	ctx, cancel := context.WithTimeout(in.appends, homeWait)
	defer cancel()
	err := in.counter.Await(ctx, pos)
	if err == nil {
		q := *k.query
		q.Applied = true
		k.first, err = in.counter.Seen(ctx, &q)
	}
	if err != nil {
		if ctx.Err() != nil && in.appends.Err() == nil {
			err = later(http.StatusServiceUnavailable, "Not counted yet", fmt.Sprintf(
				"The node did not come to count the request's Idempotency-Key within %v. None of its events is counted yet; send it again with the same key and body.", homeWait), retryAfter)
		}
		return err
	}
	switch k.first.State {
	case messages.KeyConflict:
		return keyConflict(k.query.Key)
	case messages.KeySeen:
		_, first, err := in.homeOf(k.query.Key, &k.first)
		if err != nil || first <= pos[home] {
			return err
		}
		// Another block is first, behind ours: ours was first once.
	}
	return later(http.StatusServiceUnavailable, "Key forgotten",
		"The request's Idempotency-Key was forgotten before its events could follow it: the dedup window is shorter than the time that took. None of them is counted; send it again.", retryAfter)
}

// homeOf is the position of the first block under a key, and its offset in it.
func (in *ingest) homeOf(key string, v *messages.KeyVerdict) (messages.Position, messages.Offset, error) {
	id := in.cfg.Identity
	pos, err := messages.ParsePosition(base64.RawURLEncoding.EncodeToString(v.Position), id.ID, id.Partitions)
	if err != nil {
		return nil, 0, fmt.Errorf("position of the first block under a key: %w", err)
	}
	return pos, pos[in.builders.config.Routes.Home(key)], nil
}

// notAppended is the answer to a request whose append failed. What is no
// ErrStopped would fail again.
func (in *ingest) notAppended(err error, keyed bool) error {
	if !in.cfg.HomeFirst || !errors.Is(err, messages.ErrStopped) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("append events: %w", err)
	}
	what := "events with an event_id count once then, but others that are there count twice. (With an Idempotency-Key the whole request would be safe to repeat.)"
	if keyed {
		what = "with the same Idempotency-Key and body each event counts once."
	}
	return later(http.StatusServiceUnavailable, "Log failed", sentence(err.Error())+" Some of the events may be in the log, and will be counted. Send the request again, with the same ids: "+what, 10*time.Second)
}
