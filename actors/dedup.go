package actors

import (
	"github.com/crestdb/crest/messages"
)

// dedup remembers the event ids and Idempotency-Keys of one partition for the
// dedup window of log time. What it forgets, and when, is a pure function of
// the log: generations begin and end at arrivals, never at the wall clock.
//
// It never forgets early. When its share of memory is full, requests with ids
// are refused at the door (see Engine.Admit) until log time has moved on; what
// is in the log already is always remembered.
type dedup struct {
	window messages.Micros
	// generations, oldest first; the last one takes new entries. An entry is
	// remembered for at least the window and at most a generation more.
	generations []*generation
}

// generation holds what was first seen at arrivals in [start, end).
type generation struct {
	start, end messages.Micros
	ids        idSet
	keys       map[fingerprint]keyEntry
	keyBytes   int64
}

// generationsPerWindow is how many generations one window spans.
const generationsPerWindow = 4

// fingerprint is the 128-bit keyed hash of an Idempotency-Key.
type fingerprint struct{ hi, lo uint64 }

// keyEntry is what is remembered of a keyed block.
type keyEntry struct {
	body     messages.BodyHash
	stamp    messages.Micros
	position []byte // of the whole frame; see messages.ReadBlock
}

func newDedup(window messages.Micros) *dedup { return &dedup{window: window} }

// advance moves log time on to arrival: it opens the generation that arrival
// belongs to and forgets those that ended a window before it.
func (d *dedup) advance(arrival messages.Micros) {
	gone := 0
	for gone < len(d.generations) && d.generations[gone].end <= arrival-d.window {
		gone++
	}
	if gone > 0 {
		d.generations = append(d.generations[:0:0], d.generations[gone:]...)
	}
	if n := len(d.generations); n == 0 || d.generations[n-1].end <= arrival {
		length := max(1, d.window/generationsPerWindow)
		start := arrival.Floor(length)
		if n > 0 {
			start = max(start, d.generations[n-1].end)
		}
		d.generations = append(d.generations, &generation{start: start, end: arrival.Floor(length) + length})
	}
}

// setWindow changes the window from arrival on.
func (d *dedup) setWindow(window, arrival messages.Micros) {
	if window == d.window {
		return
	}
	d.window = window
	// The open generation may be longer than the new window allows for: close
	// it here.
	if n := len(d.generations); n > 0 {
		last := d.generations[n-1]
		last.end = max(last.start+1, min(last.end, arrival+1))
	}
}

// seenID tells whether the id was there within the window, and remembers it.
// advance must have been called for the arrival.
func (d *dedup) seenID(id eventID) bool {
	for i := len(d.generations) - 1; i >= 0; i-- {
		if d.generations[i].ids.has(id) {
			return true
		}
	}
	d.generations[len(d.generations)-1].ids.add(id)
	return false
}

// findKey is the entry of a key within the window.
func (d *dedup) findKey(key fingerprint) (keyEntry, bool) {
	for i := len(d.generations) - 1; i >= 0; i-- {
		if e, ok := d.generations[i].keys[key]; ok {
			return e, true
		}
	}
	return keyEntry{}, false
}

// addKey remembers a key's block.
func (d *dedup) addKey(key fingerprint, e keyEntry) {
	g := d.generations[len(d.generations)-1]
	if g.keys == nil {
		g.keys = make(map[fingerprint]keyEntry)
	}
	g.keys[key] = e
	g.keyBytes += keyEntryBytes + int64(len(e.position))
}

// keyEntryBytes is what one entry of the key table takes, the map's spare
// room included.
const keyEntryBytes = 160

// bytes is what the tables hold; nextBytes what they would hold after the next
// growth of the open set, if that is near.
func (d *dedup) bytes() (now, next int64) {
	for _, g := range d.generations {
		now += g.ids.bytes() + g.keyBytes
	}
	next = now
	if n := len(d.generations); n > 0 {
		next += d.generations[n-1].ids.growth()
	}
	return now, next
}
