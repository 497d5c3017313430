package window

import "github.com/crestdb/crest/messages"

// NameID numbers a category or a region within one shard, in log order.
type NameID uint32

// The ids that every shard begins with.
const (
	NoName    NameID = 0 // the event names none
	OtherName NameID = 1 // a value past the bound, or literally "other"
	firstName NameID = 2
)

// Delta is what one flush of an ingest actor adds to its shard. The shard owns
// it from Apply until it hands it back, which is the ingest actor's credit.
type Delta struct {
	// Rows are the counts, one per (slice, topic, category, region), grouped by
	// slice, slices ascending.
	Rows []DeltaRow
	// Topics holds the rows' topic names one after another.
	Topics []byte
	// Categories and Regions are the names that got an id since the last delta.
	Categories, Regions NamesDelta
	// Clock is the partition clock behind the last record of the delta; 0
	// before the first event. Arrival is the largest arrival so far.
	Clock, Arrival messages.Micros
	// Ledger is the partition's ledger as of the delta's end.
	Ledger messages.Ledger
	// Settings are those in force at the delta's end.
	Settings messages.Settings
	// Dedup and Combine are bytes that the ingest actor holds as of the delta's
	// end; DedupNext is Dedup behind the next growth of its tables, if near.
	Dedup, DedupNext, Combine int64
	// Marker travels with the delta for whoever takes snapshots as of its end; a
	// table does not look at it.
	Marker any
}

// DeltaRow is one combined count.
type DeltaRow struct {
	Slice            messages.Micros // start of the 5 s slice
	Count            uint64
	Hash             uint64 // keyed hash of the topic, the same for the same topic in every delta
	TopicAt          uint32 // in Delta.Topics
	TopicLen         uint16
	Category, Region NameID
}

// Topic is the row's topic; it points into d.
func (d *Delta) Topic(r *DeltaRow) []byte {
	return d.Topics[r.TopicAt : r.TopicAt+uint32(r.TopicLen)]
}

// Reset empties d for the next flush and keeps its buffers.
func (d *Delta) Reset() {
	*d = Delta{
		Rows:       d.Rows[:0],
		Topics:     d.Topics[:0],
		Categories: NamesDelta{Added: d.Categories.Added[:0]},
		Regions:    NamesDelta{Added: d.Regions.Added[:0]},
	}
}
