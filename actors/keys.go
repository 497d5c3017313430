package actors

import (
	"unsafe"

	"github.com/crestdb/crest/messages"
)

// fingerprint is the 128-bit keyed hash of an Idempotency-Key.
type fingerprint struct{ hi, lo uint64 }

// keyEntry is what is remembered of a keyed block. It is forgotten by frames
// stamped a window after end: the end of the quarter of a window in which the
// block was stamped, or more for one that follows its home's (followEnd).
type keyEntry struct {
	end      messages.Micros
	body     messages.BodyHash
	stamp    messages.Micros // the frame's, by whoever sent it
	position []byte          // of the whole frame; see messages.ReadBlock
}

// forgotten tells whether no frame can meet the entry any more.
func (e *keyEntry) forgotten(arrival, window messages.Micros) bool {
	return e.end+window+keySlack <= arrival
}

// keyRecord is an entry as filed.
type keyRecord struct {
	key fingerprint
	keyEntry
}

// keySlack is how far the stamp of a frame may lie behind the largest arrival
// before it (a frame is stamped before it is appended) with all partitions
// still agreeing on its key.
const keySlack = messages.Minute

// keyTable remembers Idempotency-Keys by the stamps of their frames alone,
// which are the same in every partition that a frame reaches: so all partitions
// forget a key at the same frame, however far each one's arrival has come. Where
// partitions stamp for themselves they need not agree: the home's verdict decides,
// and the blocks that follow it name it (messages.Followed).
//
// Entries are appended and never change: what was there at one moment can be
// read for ever (records) while more are filed. The zero value is empty.
type keyTable struct {
	filed   []keyRecord
	dropped int // of them, from the first on: given up
	// last is where in filed a key was filed last.
	last      map[fingerprint]int
	positions int64 // bytes of all positions in filed
	most      int   // how many keys last has had at once
}

func (t *keyTable) find(key fingerprint) (keyEntry, bool) {
	n, ok := t.last[key]
	if !ok {
		return keyEntry{}, false
	}
	return t.filed[n].keyEntry, true
}

// add files an entry; it stands instead of an earlier one of the key.
func (t *keyTable) add(key fingerprint, e keyEntry) {
	if t.last == nil {
		t.last = make(map[fingerprint]int)
	}
	if n := len(t.filed); n == cap(t.filed) {
		filed := make([]keyRecord, n, max(8, n+n/4))
		copy(filed, t.filed)
		t.filed = filed
	}
	t.last[key] = len(t.filed)
	t.filed = append(t.filed, keyRecord{key, e})
	t.positions += int64(len(e.position))
	t.most = max(t.most, len(t.last))
}

// drop gives back the entries that no frame can meet any more.
func (t *keyTable) drop(arrival, window messages.Micros) {
	n := t.dropped
	for ; n < len(t.filed) && t.filed[n].forgotten(arrival, window); n++ {
		r := &t.filed[n]
		if t.last[r.key] == n {
			delete(t.last, r.key)
		}
	}
	if n == t.dropped {
		return
	}
	t.dropped = n
	if n == len(t.filed) {
		*t = keyTable{}
		return
	}
	if 2*n < len(t.filed) {
		return
	}
	// Half is given up: what is left moves into tables of its own size.
	var fresh keyTable
	for _, r := range t.filed[n:] {
		fresh.add(r.key, r.keyEntry)
	}
	*t = fresh
}

// records are the entries there now, in the order in which they were filed.
// They never change.
func (t *keyTable) records() []keyRecord { return t.filed[t.dropped:len(t.filed):len(t.filed)] }

// mapEntryBytes is what Go's map takes at most for a key: groups of eight
// entries and as many control bytes, after a growth 7 in 16 of them in use.
const mapEntryBytes = (8 + 8*int64(unsafe.Sizeof(fingerprint{})+8)) * 2 / 7

// bytes is what the table takes.
func (t *keyTable) bytes() int64 {
	return int64(cap(t.filed))*int64(unsafe.Sizeof(keyRecord{})) + int64(t.most)*mapEntryBytes + t.positions
}
