// Package counters holds what others count the most frequent topics with, in a
// given number of bytes: a count-min sketch with a heap, Space-Saving, and
// HeavyKeeper as Redis' TOPK does it. They are what crest's boards are laid
// beside at equal memory.
//
// None of them knows windows, cells or time: each sees one stream once and
// ranks all of it. The comparison feeds every one exactly the events that a
// crest board is about and gives it memory of its own for that question alone.
// What they state about their answers is judged as they state it: Space-Saving
// bounds every count, a count-min bounds it with a probability, HeavyKeeper
// does not.
package counters

// Peer is a structure under comparison. It belongs to one goroutine.
type Peer interface {
	// Add counts n times a topic.
	Add(topic string, n uint64)
	// Board is the first k topics, as far as the structure knows.
	Board(k int) Board
	// Bytes is what the structure takes now.
	Bytes() int64
}

// Board is an answer, greatest estimate first.
type Board struct {
	Rows []Row
	// Certified is how many of the first rows provably are the true first ones,
	// as a set; -1: the structure proves nothing.
	Certified int
}

// Row is a topic and what is stated of its count.
type Row struct {
	Topic    string
	Estimate uint64
	// Lower ≤ true ≤ Upper, certainly or most likely, if Bounded.
	Lower, Upper uint64
	Bounded      bool
}

// Kind is a peer by name.
type Kind struct {
	Name string
	// Bounded: it states bounds; Certain: they hold always, and not with a
	// probability.
	Bounded, Certain bool
	// New makes an empty one for boards of k rows that takes about so many
	// bytes.
	New func(bytes int64, k int) Peer
}

// Kinds are all peers, in the order of the tables.
var Kinds = []Kind{
	{"count-min + heap", true, false, newCountMin},
	{"Space-Saving", true, true, newSpaceSaving},
	{"HeavyKeeper", false, false, newHeavyKeeper},
}

// byEstimate orders rows: greater estimate first, then topics in byte order.
func byEstimate(a, b Row) int { return compareCounts(a.Estimate, b.Estimate, a.Topic, b.Topic) }
