package window

import (
	"github.com/crestdb/crest/actors/rank"
)

// topicID numbers the topics of a shard as they come.
type topicID = uint32

// topics holds the shard's topics: records in chunks, names in an arena, an
// index over their hashes. Records and names never move.
type topics struct {
	index  index
	chunks [][]topic
	n      int
	arena  [][]byte
	bytes  int64 // of records and names
}

// topic is one record, 32 bytes. Its T row is made with it.
type topic struct {
	hash   uint64
	prefix uint64 // the name's first bytes, see rank.Prefix
	name   uint32 // arena chunk << arenaShift | where in it
	size   uint16
	row    rowID // its T row
}

const (
	topicShift = 10 // 1,024 records a chunk
	arenaShift = 16 // 64 KiB a chunk, 4 GiB in all
)

func (t *topics) at(id topicID) *topic { return &t.chunks[id>>topicShift][id&(1<<topicShift-1)] }

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

// add makes the record of a new topic; its row is still to be set.
func (t *topics) add(hash uint64, name []byte) topicID {
	id := topicID(t.n)
	if t.n>>topicShift == len(t.chunks) {
		t.chunks = append(t.chunks, make([]topic, 1<<topicShift))
		t.bytes += 32 << topicShift
	}
	t.n++
	*t.at(id) = topic{hash: hash, prefix: rank.Prefix(name), name: t.store(name), size: uint16(len(name))}
	t.index.add(hash, id)
	return id
}

// store copies a name into the arena. Chunks are allocated at full size and
// never grow, so slices of them stay valid.
func (t *topics) store(name []byte) uint32 {
	last := len(t.arena) - 1
	if last < 0 || len(t.arena[last])+len(name) > 1<<arenaShift {
		t.arena = append(t.arena, make([]byte, 0, 1<<arenaShift))
		t.bytes += 1 << arenaShift
		last++
	}
	at := len(t.arena[last])
	t.arena[last] = append(t.arena[last], name...)
	return uint32(last)<<arenaShift | uint32(at)
}
