package actorstest

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// Entry is one event as it counts.
type Entry struct {
	Slice                   messages.Micros
	Topic, Category, Region string // the names it counts under
	Count                   uint64
}

// Recount is the obvious way to decide what a partition's log counts: record
// after record, with maps of plain strings and nothing combined. It judges the
// ingest actor's core. The dedup window must not change within the log.
type Recount struct {
	Identity *messages.LogIdentity
	Ledger   messages.Ledger
	Entries  []Entry

	settings  messages.Settings
	arrival   messages.Micros
	eventTime messages.Micros
	// ids and keys remember until which arrival something is remembered.
	ids        map[[2]string]messages.Micros
	keys       map[string]seenKey
	writers    map[messages.WriterID]lastBlock
	categories map[string]bool
	regions    map[string]bool
}

type seenKey struct {
	body  messages.BodyHash
	until messages.Micros
}

// lastBlock is a writer's largest number so far, and the arrival at its last block.
type lastBlock struct {
	sequence uint64
	arrival  messages.Micros
}

// NewRecount starts before a log's first block.
func NewRecount(id *messages.LogIdentity) *Recount {
	return &Recount{
		Identity:   id,
		settings:   id.Settings,
		ids:        make(map[[2]string]messages.Micros),
		keys:       make(map[string]seenKey),
		writers:    make(map[messages.WriterID]lastBlock),
		categories: make(map[string]bool),
		regions:    make(map[string]bool),
	}
}

// Settings in force behind the last block.
func (r *Recount) Settings() messages.Settings { return r.settings }

// Take recounts one block.
func (r *Recount) Take(b *messages.ReadBlock) {
	r.Ledger.AppliedOffset = b.End
	if b.Kind == messages.FrameGap {
		return
	}
	r.arrival = max(r.arrival, b.Stamp)
	r.Ledger.Logged += uint64(b.Records + b.Refused)
	r.Ledger.DeadLettered += uint64(b.Refused)
	if b.Records+b.Refused == 0 {
		r.Ledger.Controls++
	}
	if b.Sent != nil && r.sentBefore(b.Sent) {
		r.Ledger.Duplicates += uint64(b.Records)
		return
	}
	if b.Kind == messages.FrameControl {
		s, err := messages.ParseSettings(b.Data)
		if err != nil {
			panic(err)
		}
		r.settings = s
	}
	if b.Kind != messages.FrameEvents {
		return
	}
	if b.Key != "" {
		if k, ok := r.keys[b.Key]; ok && r.meets(b, k) {
			if k.body == b.BodyHash {
				r.Ledger.Duplicates += uint64(b.Records)
			} else {
				r.Ledger.DeadLettered += uint64(b.Records)
			}
			return
		}
		r.keys[b.Key] = seenKey{b.BodyHash, r.keyForgottenAt(b)}
	}
	data := b.Data
	for range b.Records {
		var rec messages.Record
		var err error
		if data, err = rec.ReadFrom(data); err != nil {
			panic(err)
		}
		r.record(&rec, b.Stamp)
	}
}

// sentBefore tells whether the writer has sent the block before, as far as the
// writer is remembered: for a day behind its last block.
func (r *Recount) sentBefore(s *messages.Sent) bool {
	if s.Sequence == 0 {
		return false
	}
	last, ok := r.writers[s.Writer]
	if !ok || last.arrival+messages.Day <= r.arrival {
		last = lastBlock{}
	}
	before := s.Sequence <= last.sequence
	r.writers[s.Writer] = lastBlock{max(last.sequence, s.Sequence), r.arrival}
	return before
}

// meets tells whether a keyed block meets an entry that is there: by its stamp,
// unless it follows its home's, and not once arrivals are a minute further.
func (r *Recount) meets(b *messages.ReadBlock, k seenKey) bool {
	if follows := b.Sent != nil && b.Sent.Follows != nil; !follows && b.Stamp >= k.until {
		return false
	}
	return r.arrival < k.until+messages.Minute
}

// keyForgottenAt is when a keyed block's entry is forgotten. One that follows its
// home's outlives that by 10 minutes, and by how far events may lie ahead.
func (r *Recount) keyForgottenAt(b *messages.ReadBlock) messages.Micros {
	if b.Sent == nil || b.Sent.Follows == nil {
		return r.forgottenAt(b.Stamp)
	}
	until := min(b.Sent.Follows.Until, r.arrival+messages.Day)
	return until + 10*messages.Minute + messages.Micros((r.settings.MaxAhead+r.settings.DedupWindow)/time.Microsecond)
}

// forgottenAt is when something first seen at a moment is forgotten: a window
// after the end of its quarter of a window. Ids go by arrivals, keys by the
// stamps of their blocks.
func (r *Recount) forgottenAt(seen messages.Micros) messages.Micros {
	window := messages.Micros(r.settings.DedupWindow / time.Microsecond)
	quarter := window / 4
	return seen.Floor(quarter) + quarter + window
}

func (r *Recount) record(rec *messages.Record, stamp messages.Micros) {
	if len(rec.ID) > 0 {
		id := [2]string{string(rec.Topic), string(rec.ID)}
		if until, ok := r.ids[id]; ok && until > r.arrival {
			r.Ledger.Duplicates++
			return
		}
		r.ids[id] = r.forgottenAt(r.arrival)
	}
	at := stamp
	if rec.HasTime {
		at = rec.Time
	}
	if at > r.arrival {
		at = r.arrival
		r.Ledger.Clamped++
	}
	clock := r.arrival
	if r.Identity.Clock == messages.ClockEvent {
		clock = r.eventTime
	}
	slice := at.Floor(messages.SliceLength)
	if slice < clock.Floor(messages.SliceLength) {
		r.Ledger.Late++
	}
	r.eventTime = max(r.eventTime, at)
	r.Ledger.Counted++
	e := Entry{
		Slice:    slice,
		Topic:    string(rec.Topic),
		Category: fold(r.categories, string(rec.Category), r.settings.MaxCategories),
		Region:   fold(r.regions, string(rec.Region), r.settings.MaxRegions),
		Count:    rec.Count,
	}
	r.Ledger.Digest.Add([]byte(e.Topic), []byte(e.Category), []byte(e.Region), e.Slice, e.Count, nil)
	r.Entries = append(r.Entries, e)
}

// fold is the name that a category or region counts under.
func fold(known map[string]bool, text string, bound int) string {
	switch {
	case text == "" || text == messages.OtherName || known[text]:
		return text
	case len(known) >= bound:
		return messages.OtherName
	}
	known[text] = true
	return text
}
