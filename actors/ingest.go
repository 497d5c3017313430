package actors

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dchest/siphash"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// ingest decides what each record of one partition counts: its key, its slice,
// how much, and whether it is a duplicate, late, clamped or refused. All of it
// is a pure function of the partition's log up to the record: blocks in,
// combined rows out.
type ingest struct {
	hashes   hashes
	clock    messages.Clock
	settings messages.Settings

	next       messages.Offset // behind the last block taken
	arrival    messages.Micros // largest arrival so far
	eventTime  messages.Micros // largest accepted event time so far
	categories names
	regions    names
	dedup      *dedup
	ledger     messages.Ledger

	combine combiner
	records [ahead]messages.Record // scratch, as the others
	ids     [ahead]eventID
	scratch []byte // for bytes to hash
}

func newIngest(id *messages.LogIdentity) *ingest {
	return &ingest{
		hashes:     newHashes(id),
		clock:      id.Clock,
		settings:   id.Settings,
		categories: names{Names: window.NewNames()},
		regions:    names{Names: window.NewNames()},
		dedup:      newDedup(micros(id.Settings.DedupWindow), nil, nil),
	}
}

// take counts one block into d. Blocks come in log order, none twice. An error
// means that the log is not what this partition's state was made from.
func (g *ingest) take(b *messages.ReadBlock, d *window.Delta) error {
	if b.Offset != g.next {
		return fmt.Errorf("take block: offset %d, want %d", b.Offset, g.next)
	}
	g.next = b.End
	g.arrival = max(g.arrival, b.Stamp)
	if err := g.dedup.advance(g.arrival); err != nil {
		return fmt.Errorf("take block at offset %d: %w", b.Offset, err)
	}
	if b.Records == 0 {
		g.ledger.Controls++
	}
	switch b.Kind {
	case messages.FrameTick:
	case messages.FrameControl:
		s, err := messages.ParseSettings(b.Data)
		if err != nil {
			return fmt.Errorf("take block at offset %d: %w", b.Offset, err)
		}
		g.settings = s
		g.dedup.setWindow(micros(s.DedupWindow), g.arrival)
	case messages.FrameEvents:
		if b.Key != "" && g.repeated(b) {
			break
		}
		if err := g.takeRecords(b, d); err != nil {
			return fmt.Errorf("take block at offset %d: %w", b.Offset, err)
		}
	default:
		return fmt.Errorf("take block at offset %d: unknown kind %d", b.Offset, b.Kind)
	}
	return nil
}

// repeated tells whether a keyed block was there before, and accounts for it.
func (g *ingest) repeated(b *messages.ReadBlock) bool {
	key := g.hashes.key(b.Key)
	e, seen := g.dedup.findKey(key, b.Stamp)
	switch {
	case !seen:
		g.dedup.addKey(key, keyEntry{body: b.BodyHash, stamp: b.Stamp, position: b.Position})
	case e.body == b.BodyHash:
		g.ledger.Duplicates += uint64(b.Records)
	default:
		// Another body under the same key: the door answers 409 before it is
		// logged; in a log that somebody else wrote it is refused here.
		g.ledger.DeadLettered += uint64(b.Records)
	}
	return seen
}

// ahead is how many records are read before the first of them is counted, so
// that their ids can be looked up together.
const ahead = 32

func (g *ingest) takeRecords(b *messages.ReadBlock, d *window.Delta) error {
	rest := b.Data
	for left := int(b.Records); left > 0; {
		var malformed error
		n, ids := 0, g.ids[:0]
		for n < min(left, ahead) {
			r := &g.records[n]
			if rest, malformed = r.ReadFrom(rest); malformed != nil {
				break
			}
			if len(r.ID) > 0 {
				var id eventID
				id, g.scratch = g.hashes.event(r.Topic, r.ID, g.scratch)
				ids = append(ids, id)
			}
			n++
		}
		g.dedup.foresee(ids)
		for i := range g.records[:n] {
			r := &g.records[i]
			if len(r.ID) > 0 {
				repeated, err := g.dedup.seenID(ids[0])
				if err != nil {
					return err
				}
				if ids = ids[1:]; repeated {
					g.ledger.Duplicates++
					continue
				}
			}
			g.takeRecord(r, b.Stamp, d)
		}
		if left -= n; malformed != nil {
			// Nothing behind a malformed record can be told apart.
			g.ledger.DeadLettered += uint64(left)
			return nil
		}
	}
	return nil
}

// takeRecord counts a record that is no repeat.
func (g *ingest) takeRecord(r *messages.Record, stamp messages.Micros, d *window.Delta) {
	at := stamp
	if r.HasTime {
		at = r.Time
	}
	if at > g.arrival {
		at = g.arrival
		g.ledger.Clamped++
	}
	slice := at.Floor(messages.SliceLength)
	if slice < g.partitionClock().Floor(messages.SliceLength) {
		g.ledger.Late++
	}
	g.eventTime = max(g.eventTime, at)
	g.ledger.Counted++
	category := g.categories.intern(r.Category, g.settings.MaxCategories, &d.Categories)
	region := g.regions.intern(r.Region, g.settings.MaxRegions, &d.Regions)
	g.combine.add(d, r.Topic, g.hashes.topic(r.Topic), slice, category, region, r.Count)
}

// partitionClock is what lateness is judged against; 0 before the first event.
func (g *ingest) partitionClock() messages.Micros {
	if g.clock == messages.ClockEvent {
		return g.eventTime
	}
	return g.arrival
}

// seal completes d for the shard: rows ordered, digest, ledger and clocks as
// of the last block taken.
func (g *ingest) seal(d *window.Delta) {
	g.combine.finish(d)
	for i := range d.Rows {
		r := &d.Rows[i]
		category, region := []byte(g.categories.Text(r.Category)), []byte(g.regions.Text(r.Region))
		g.scratch = g.ledger.Digest.Add(d.Topic(r), category, region, r.Slice, r.Count, g.scratch)
	}
	d.Categories.Folded, d.Regions.Folded = g.categories.Folded(), g.regions.Folded()
	d.Clock, d.Arrival = g.partitionClock(), g.arrival
	g.ledger.AppliedOffset = g.next
	d.Ledger = g.ledger
	d.Settings = g.settings
}

// verdict tells what a frame with this stamp will meet under its
// Idempotency-Key; one stamped later meets no more.
func (g *ingest) verdict(q *messages.KeyQuery, stamp messages.Micros) messages.KeyVerdict {
	e, seen := g.dedup.findKey(g.hashes.key(q.Key), stamp)
	switch {
	case !seen:
		return messages.KeyVerdict{State: messages.KeyNew}
	case e.body != q.BodyHash:
		return messages.KeyVerdict{State: messages.KeyConflict}
	}
	return messages.KeyVerdict{State: messages.KeySeen, Stamp: e.stamp, Position: e.position}
}

// hashes are the keyed hashes of a log, each under a key of its own.
type hashes struct{ topic0, topic1, event0, event1, key0, key1 uint64 }

func newHashes(id *messages.LogIdentity) hashes {
	var h hashes
	h.topic0, h.topic1 = id.Subkey("topic")
	h.event0, h.event1 = id.Subkey("event-id")
	h.key0, h.key1 = id.Subkey("idempotency-key")
	return h
}

func (h *hashes) topic(topic []byte) uint64 { return siphash.Hash(h.topic0, h.topic1, topic) }

// event is the fingerprint of an id under its topic: one hash over both, the
// topic's length in front, so that no two pairs read the same.
func (h *hashes) event(topic, id, scratch []byte) (eventID, []byte) {
	b := binary.LittleEndian.AppendUint16(scratch[:0], uint16(len(topic)))
	b = append(b, topic...)
	b = append(b, id...)
	hi, lo := siphash.Hash128(h.event0, h.event1, b)
	return eventID{Hi: hi, Lo: uint32(lo)}, b
}

func (h *hashes) key(key string) fingerprint {
	hi, lo := siphash.Hash128(h.key0, h.key1, []byte(key))
	return fingerprint{hi, lo}
}

// micros converts a setting.
func micros(d time.Duration) messages.Micros { return messages.Micros(d / time.Microsecond) }
