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

	next       messages.Offset // behind the last block taken; at first, where the partition begins
	arrival    messages.Micros // largest arrival so far
	eventTime  messages.Micros // largest accepted event time so far
	categories names
	regions    names
	dedup      *dedup
	writers    writers
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

// take counts one block into d. Blocks come in log order and without a gap:
// where the log has one, a block says so. An error means that the log is not what
// this partition's state was made from.
func (g *ingest) take(b *messages.ReadBlock, d *window.Delta) error {
	if b.Offset != g.next || b.End <= b.Offset {
		return fmt.Errorf("take block: offsets %d to %d, want some from %d on", b.Offset, b.End, g.next)
	}
	g.next = b.End
	if b.Kind == messages.FrameGap {
		return nil
	}
	g.arrival = max(g.arrival, b.Stamp)
	if err := g.dedup.advance(g.arrival); err != nil {
		return fmt.Errorf("take block at offset %d: %w", b.Offset, err)
	}
	g.ledger.Logged += uint64(b.Records) + uint64(b.Refused)
	g.ledger.DeadLettered += uint64(b.Refused)
	if b.Records == 0 && b.Refused == 0 {
		g.ledger.Controls++
	}
	if b.Sent != nil && g.writers.repeated(b.Sent, g.arrival) {
		// The answer to its writer was lost, and it came to be once more.
		g.ledger.Duplicates += uint64(b.Records)
		return nil
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
			return nil
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
	key, fresh := g.hashes.key(b.Key), keyEntry{body: b.BodyHash, stamp: b.Stamp, position: b.Position}
	var e keyEntry
	var seen bool
	if b.Sent != nil {
		fresh.stamp = b.Sent.Stamp
	}
	if b.Sent != nil && b.Sent.Follows != nil {
		fresh.end = g.followEnd(b.Sent.Follows)
		e, seen = g.dedup.findFollowing(key, g.arrival)
	} else {
		fresh.end = g.dedup.keyEnd(b.Stamp)
		e, seen = g.dedup.findKey(key, b.Stamp, g.arrival)
	}
	switch {
	case !seen:
		g.dedup.addKey(key, fresh)
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

// FollowSlack is how long a block may take to follow the home block of its
// Idempotency-Key: the home's verdict, the writing, and what the clocks of the
// brokers are apart. Whoever writes such blocks gives up well before.
const FollowSlack = 10 * messages.Minute

// followEnd is the end of an entry of a block that follows its home's. It is met
// for as long as the home may say that the key was seen: until a window after the
// quarter in which the home saw it. Arrivals run ahead of that by what a block
// takes to follow, and where producers stamp for themselves by what the log lets
// them be ahead.
func (g *ingest) followEnd(f *messages.Followed) messages.Micros {
	// No quarter of a window lies a day ahead; whoever says so holds nothing up.
	return min(f.Until, g.arrival+messages.Day) + FollowSlack + micros(g.settings.MaxAhead)
}

// verdict tells what a frame with this stamp will meet under its
// Idempotency-Key; one stamped later meets no more. If one was applied, what it
// met or left there.
func (g *ingest) verdict(q *messages.KeyQuery, stamp messages.Micros) messages.KeyVerdict {
	key := g.hashes.key(q.Key)
	e, seen := g.dedup.findKey(key, stamp, g.arrival)
	if q.Applied {
		e, seen = g.dedup.keys.find(key)
	}
	switch {
	case !seen:
		return messages.KeyVerdict{State: messages.KeyNew}
	case e.body != q.BodyHash:
		return messages.KeyVerdict{State: messages.KeyConflict}
	}
	return messages.KeyVerdict{State: messages.KeySeen, Stamp: e.stamp, Position: e.position, Until: e.end}
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

// bytes is what is remembered of ids, keys and writers; nextBytes as dedup's.
func (g *ingest) bytes() (now, next int64) {
	now, next = g.dedup.bytes()
	w := g.writers.bytes()
	return now + w, next + w
}

// micros converts a setting.
func micros(d time.Duration) messages.Micros { return messages.Micros(d / time.Microsecond) }
