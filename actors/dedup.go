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
	// generations of ids, oldest first; the last one takes new ids. An id is
	// remembered for at least the window and at most a generation more.
	generations []*generation
	// keys are remembered by the stamps of their frames alone, which are the
	// same in every partition that a frame reaches: so all partitions forget a
	// key at the same frame, however far each one's arrival has come.
	keys     map[fingerprint]keyEntry
	keyOrder []keyPlace // as filed
	keyBytes int64
}

// generation holds the ids first seen at arrivals in [start, end).
type generation struct {
	start, end messages.Micros
	ids        idSet
}

// generationsPerWindow is how many generations one window spans.
const generationsPerWindow = 4

// fingerprint is the 128-bit keyed hash of an Idempotency-Key.
type fingerprint struct{ hi, lo uint64 }

// keyEntry is what is remembered of a keyed block. It is forgotten by frames
// stamped a window after end, the end of the generation of its own stamp.
type keyEntry struct {
	end      messages.Micros
	body     messages.BodyHash
	stamp    messages.Micros
	position []byte // of the whole frame; see messages.ReadBlock
}

// keyPlace is where a key stands in the order of filing.
type keyPlace struct {
	key fingerprint
	end messages.Micros
}

// keySlack is how far the stamp of a frame may lie behind the largest arrival
// before it (a frame is stamped before it is appended) with all partitions
// still agreeing on its key.
const keySlack = messages.Minute

func newDedup(window messages.Micros) *dedup {
	return &dedup{window: window, keys: make(map[fingerprint]keyEntry)}
}

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
	d.dropKeys(arrival)
}

// dropKeys gives back the entries that no frame can meet any more.
func (d *dedup) dropKeys(arrival messages.Micros) {
	n := 0
	for n < len(d.keyOrder) && d.keyOrder[n].end+d.window+keySlack <= arrival {
		place := d.keyOrder[n]
		if e, ok := d.keys[place.key]; ok && e.end == place.end {
			d.keyBytes -= e.bytes()
			delete(d.keys, place.key)
		}
		n++
	}
	if n > 0 {
		d.keyOrder = append(d.keyOrder[:0:0], d.keyOrder[n:]...)
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

// findKey is the entry of a key as a frame with this stamp meets it.
func (d *dedup) findKey(key fingerprint, stamp messages.Micros) (keyEntry, bool) {
	e, ok := d.keys[key]
	if !ok || e.end+d.window <= stamp {
		return keyEntry{}, false
	}
	return e, true
}

// addKey remembers a key's block.
func (d *dedup) addKey(key fingerprint, e keyEntry) {
	length := max(1, d.window/generationsPerWindow)
	e.end = e.stamp.Floor(length) + length
	if old, ok := d.keys[key]; ok {
		d.keyBytes -= old.bytes()
	}
	d.keys[key] = e
	d.keyOrder = append(d.keyOrder, keyPlace{key, e.end})
	d.keyBytes += e.bytes()
}

// bytes is what an entry takes, with its place in the order and the spare room
// of both tables.
func (e *keyEntry) bytes() int64 { return 224 + int64(len(e.position)) }

// bytes is what the tables hold; nextBytes what they would hold after the next
// growth of the open set, if that is near.
func (d *dedup) bytes() (now, next int64) {
	for _, g := range d.generations {
		now += g.ids.bytes()
	}
	now += d.keyBytes
	next = now
	if n := len(d.generations); n > 0 {
		next += d.generations[n-1].ids.growth()
	}
	return now, next
}
