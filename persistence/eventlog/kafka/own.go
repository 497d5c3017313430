package kafka

import (
	"errors"
	"strconv"

	"github.com/crestdb/crest/messages"
)

// eventRun is the block whose events are being joined: WriteEvents has a Kafka
// record for each.
type eventRun struct {
	writer   messages.WriterID
	sequence uint64
	next     uint32 // index of the event that joins
}

// addOwn hands out a record that one of crest's gateways wrote. Where its header
// is not what they write, it is put aside: anybody may have made it.
func (a *assembly) addOwn(r *record, header []byte) {
	h, err := parseHeader(header)
	if err == nil && h.event {
		a.addEvent(r, &h)
		return
	}
	if err == nil {
		err = a.checkBlock(&h, r.value)
	}
	if err != nil {
		a.refuseOwn(r, err)
		return
	}
	a.beginOwn(r, &h)
	a.last().Records = h.records
	a.room(len(r.value))
	a.data = append(a.data, r.value...)
	a.extend(messages.Offset(r.offset) + 1)
	a.close()
	if h.kind == messages.FrameControl {
		// What is behind it is judged by the new settings.
		a.full = true
	}
}

// addEvent joins the event to the block it is of.
func (a *assembly) addEvent(r *record, h *blockHeader) {
	rest, err := a.c.check.ReadFrom(h.record)
	if err == nil {
		err = a.c.check.Check()
	}
	if err == nil && (len(rest) > 0 || h.kind != messages.FrameEvents) {
		err = errRecords
	}
	run := eventRun{h.sent.Writer, h.sent.Sequence, h.index}
	if a.open != events || a.events != run {
		if err != nil {
			a.refuseOwn(r, err)
			return
		}
		// Its first one, or, of a partition that was cut off in the middle of it,
		// the first that is left.
		a.beginOwn(r, h)
		a.open = events
	} else if err != nil {
		a.refuse(r, []messages.Refusal{{Reason: err.Error()}})
	}
	if err == nil {
		a.room(len(h.record))
		a.data = append(a.data, h.record...)
		a.last().Records++
	}
	a.extend(messages.Offset(r.offset) + 1)
	run.next++
	if a.events = run; run.next == h.records {
		a.close()
	}
}

func (a *assembly) refuseOwn(r *record, why error) {
	if errors.Is(why, errHeaderVersion) {
		a.c.log.newer(a.c.partition, r.offset, why)
	}
	a.join(0)
	a.refuse(r, []messages.Refusal{{Reason: why.Error()}})
}

// newer tells once that a later crest writes to the topic: what it has acknowledged
// is not counted here.
func (l *Log) newer(p messages.Partition, offset int64, why error) {
	if l.toldNewer.CompareAndSwap(false, true) {
		l.cfg.Logger.Error("kafka: a newer crest wrote a record that this one cannot read; such records are put aside and not counted here: upgrade this node",
			"topic", l.cfg.Topic, "partition", p, "offset", offset, "error", why)
	}
}

// checkBlock tells whether the data is what the header says. A block whose
// records cannot be read would stop the partition where it is counted.
func (a *assembly) checkBlock(h *blockHeader, data []byte) error {
	switch h.kind {
	case messages.FrameControl:
		if h.records > 0 {
			return errRecords
		}
		_, err := messages.ParseSettings(data)
		return err
	case messages.FrameTick:
		if h.records > 0 || len(data) > 0 {
			return errRecords
		}
		return nil
	}
	n, err := uint32(0), error(nil)
	for ; len(data) > 0; n++ {
		if data, err = a.c.check.ReadFrom(data); err != nil {
			return err
		}
		if err = a.c.check.Check(); err != nil {
			return err
		}
	}
	if n != h.records {
		return errRecords
	}
	return nil
}

// beginOwn opens a block with what its header says.
func (a *assembly) beginOwn(r *record, h *blockHeader) {
	stamp := messages.Micros(r.time) * messages.Millisecond
	if !a.c.head.appendTime && (r.time < 0 || r.time > maxMillis || stamp > a.now+a.maxAhead()) {
		// The writer's clock. What it has acknowledged is never refused, but a clock
		// that far ahead does not take the partition's along.
		stamp = a.now
	}
	if len(a.sents) == cap(a.sents) {
		a.sents = make([]messages.Sent, 0, min(max(1, 2*cap(a.sents)), 64))
	}
	a.sents = append(a.sents, h.sent)
	a.begin(messages.ReadBlock{
		Kind: h.kind, Stamp: stamp, Sent: &a.sents[len(a.sents)-1],
		Key: partKey(h), BodyHash: h.hash, Position: a.homePosition(r, h),
	})
}

// partKey tells the blocks under one Idempotency-Key apart that are not repeats
// of each other: the home's, those that follow it, and the parts of each. No key
// that a client may give has a zero byte.
func partKey(h *blockHeader) string {
	if h.sent.Follows == nil && h.part == 0 {
		return h.key
	}
	if h.key == "" {
		return ""
	}
	key := h.key
	if f := h.sent.Follows; f != nil {
		key += "\x00@" + strconv.FormatUint(uint64(f.Home), 10)
	}
	if h.part > 0 {
		key += "\x00" + strconv.FormatUint(uint64(h.part), 10)
	}
	return key
}

// homePosition is the position that the home's block under a key has, nil of any
// other.
func (a *assembly) homePosition(r *record, h *blockHeader) []byte {
	l, p := a.c.log, a.c.partition
	if h.key == "" || h.part > 0 || h.sent.Follows != nil || l.reading.routes.Home(h.key) != p {
		return nil
	}
	pos := make(messages.Position, p+1)
	pos[p] = messages.Offset(r.offset) + 1
	if h.event {
		pos[p] += messages.Offset(h.records - h.index - 1)
	}
	return pos.AppendTo(nil, l.id.ID)
}
