package window

import (
	"encoding/binary"

	"github.com/crestdb/crest/actors/rank"
)

// topicID numbers the topics of a shard as they come.
type topicID = uint32

// topics holds the shard's topics: records in chunks, names in an arena, an
// index over their hashes. Names move when others have left (see compact).
type topics struct {
	index   index
	records records
	n       int      // that live
	arena   [][]byte // nil: a chunk to be made
	open    uint32   // chunk that names are added to
	empty   []uint32 // chunks to be made
	dead    []int    // bytes of names that left, by chunk
	worst   []uint32 // chunks that may be worth compacting
	gone    int64    // sum of dead
	names   int64    // bytes of names that live
	bytes   int64    // of chunks of names
}

// topic is one record, 32 bytes. Its T row is made with it.
type topic struct {
	hash    uint64
	prefix  uint64 // the name's first bytes, see rank.Prefix
	name    uint32 // arena chunk << arenaShift | where in it
	row     rowID  // its T row
	regions uint32 // TR rows
	size    uint16
}

const (
	arenaShift = 13 // 8 KiB a chunk, 4 GiB in all
	// chunkHeader is what a chunk takes beside what is in it.
	chunkHeader = 32
	// nameHead is before each name in the arena: whose it is, and its length.
	nameHead = 6
)

// at is a record to be read.
func (t *topics) at(id topicID) *topic { return t.records.at(id) }

// edit is a record to be written to.
func (t *topics) edit(id topicID) *topic { return t.records.edit(id) }

// Name is the name of a topic; it points into the arena.
func (t *topics) Name(id topicID) []byte { return t.nameOf(t.at(id)) }

func (t *topics) nameOf(r *topic) []byte {
	at := r.name & (1<<arenaShift - 1)
	return t.arena[r.name>>arenaShift][at : at+uint32(r.size)]
}

// find is the topic of a name.
func (t *topics) find(hash uint64, name []byte) (topicID, bool) {
	for p := t.index.probe(hash); ; {
		id, ok := p.next()
		if !ok {
			return 0, false
		}
		if t.is(id, hash, name) {
			return id, true
		}
	}
}

// is compares keys: the hash first, since names lie far away.
func (t *topics) is(id topicID, hash uint64, name []byte) bool {
	r := t.at(id)
	return r.hash == hash && int(r.size) == len(name) && string(t.Name(id)) == string(name)
}

// add makes the record of a new topic; its row is still to be set. No topic's
// name is empty (a record without one is free), or longer than
// messages.MaxTopicBytes.
func (t *topics) add(hash uint64, name []byte) topicID {
	t.n++
	t.names += nameHead + int64(len(name))
	id := t.records.take(topic{hash: hash, prefix: rank.Prefix(name), size: uint16(len(name))})
	t.edit(id).name = t.store(id, name)
	t.index.add(hash, id)
	return id
}

// remove forgets a topic without rows.
func (t *topics) remove(id topicID) {
	r := t.at(id)
	t.index.remove(r.hash, id)
	chunk := r.name >> arenaShift
	before := t.dead[chunk]
	t.dead[chunk] += nameHead + int(r.size)
	t.gone += nameHead + int64(r.size)
	t.names -= nameHead + int64(r.size)
	if before <= compactFrom && t.dead[chunk] > compactFrom {
		t.worst = append(t.worst, chunk)
	}
	t.records.free(id)
	t.n--
}

// store copies a name into the arena. Chunks are allocated at full size and
// never grow, so slices of them stay valid, and what a Frozen reads of them does not
// change: only what stands before the names is written to in place.
func (t *topics) store(id topicID, name []byte) uint32 {
	if len(t.arena) == 0 || len(t.arena[t.open])+nameHead+len(name) > 1<<arenaShift {
		t.openChunk()
	}
	chunk := t.arena[t.open]
	at := len(chunk) + nameHead
	chunk = binary.LittleEndian.AppendUint32(chunk, id)
	chunk = binary.LittleEndian.AppendUint16(chunk, uint16(len(name)))
	t.arena[t.open] = append(chunk, name...)
	return t.open<<arenaShift | uint32(at)
}

// setOwner says whose a name is.
func (t *topics) setOwner(name uint32, id topicID) {
	at := name & (1<<arenaShift - 1)
	binary.LittleEndian.PutUint32(t.arena[name>>arenaShift][at-nameHead:], id)
}

func (t *topics) openChunk() {
	if n := len(t.empty); n > 0 {
		t.open, t.empty = t.empty[n-1], t.empty[:n-1]
	} else {
		t.open = uint32(len(t.arena))
		t.arena, t.dead = append(t.arena, nil), append(t.dead, 0)
	}
	t.arena[t.open] = make([]byte, 0, 1<<arenaShift)
	t.bytes += 1<<arenaShift + chunkHeader
}

// compactFrom is how many bytes of a chunk must be dead for the others to move.
const compactFrom = 1 << (arenaShift - 1)

// compact moves what is left of one chunk, if there is one that is mostly dead,
// and gives its memory back. At most half the arena is dead thereby, and moving
// a byte has been paid for by one that left.
func (t *topics) compact() {
	n := len(t.worst)
	if n == 0 {
		return
	}
	c := t.worst[n-1]
	t.worst = t.worst[:n-1]
	if c == t.open {
		t.openChunk()
	}
	for at, chunk := 0, t.arena[c]; at < len(chunk); {
		id, size := binary.LittleEndian.Uint32(chunk[at:]), int(binary.LittleEndian.Uint16(chunk[at+4:]))
		at += nameHead
		if r := t.records.find(id); r != nil && r.name == c<<arenaShift|uint32(at) && int(r.size) == size {
			t.edit(id).name = t.store(id, chunk[at:at+size])
		}
		at += size
	}
	t.gone -= int64(t.dead[c])
	t.arena[c], t.dead[c] = nil, 0
	t.empty = append(t.empty, c)
	t.bytes -= 1<<arenaShift + chunkHeader
}
