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
	categories map[string]bool
	regions    map[string]bool
}

type seenKey struct {
	body  messages.BodyHash
	until messages.Micros
}

// NewRecount starts before a log's first block.
func NewRecount(id *messages.LogIdentity) *Recount {
	return &Recount{
		Identity:   id,
		settings:   id.Settings,
		ids:        make(map[[2]string]messages.Micros),
		keys:       make(map[string]seenKey),
		categories: make(map[string]bool),
		regions:    make(map[string]bool),
	}
}

// Take recounts one block.
func (r *Recount) Take(b *messages.ReadBlock) {
	r.arrival = max(r.arrival, b.Stamp)
	r.Ledger.AppliedOffset += b.Span()
	if b.Records == 0 {
		r.Ledger.Controls++
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
		if k, ok := r.keys[b.Key]; ok && k.until > b.Stamp {
			if k.body == b.BodyHash {
				r.Ledger.Duplicates += uint64(b.Records)
			} else {
				r.Ledger.DeadLettered += uint64(b.Records)
			}
			return
		}
		r.keys[b.Key] = seenKey{b.BodyHash, r.forgottenAt(b.Stamp)}
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

// forgottenAt is when something first seen at a moment is forgotten: a window
// after the end of its quarter of a window. Ids go by arrivals, keys by the
// stamps of their frames.
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
