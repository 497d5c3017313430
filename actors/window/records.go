package window

// records holds topics' records in chunks of equal size. A chunk without records
// is given back; which are nearly empty is emptied by moving what can move (see
// moveTopics).
type records struct {
	chunks []*chunk // nil: given back
	given  []uint32 // those
	room   uint32   // the first with room is not before
	held   int      // records that there is room for
	cursor uint32   // chunk that moveTopics looks at next
	shared shared   // chunks that a Frozen reads too (see own)
}

type chunk struct {
	used  int // records
	from  int // no free place is before
	topic [chunkTopics]topic
}

const (
	topicShift  = 8
	chunkTopics = 1 << topicShift
	topicBytes  = 32
	chunkBytes  = topicBytes<<topicShift + 24
)

// at is a record to be read.
func (x *records) at(id topicID) *topic { return &x.chunks[id>>topicShift].topic[id&(chunkTopics-1)] }

// edit is a record to be written to.
func (x *records) edit(id topicID) *topic { return &x.own(id >> topicShift).topic[id&(chunkTopics-1)] }

// own is a chunk that is to be written to: what a Frozen reads of it is left to it.
func (x *records) own(at uint32) *chunk {
	if x.shared.has(at) {
		x.unshare(at)
	}
	return x.chunks[at]
}

// find is a record that may be gone; nil: with its chunk.
func (x *records) find(id topicID) *topic {
	if c := x.chunks[id>>topicShift]; c != nil {
		return &c.topic[id&(chunkTopics-1)]
	}
	return nil
}

// take finds or makes a free place, and fills it.
func (x *records) take(r topic) topicID {
	for ; int(x.room) < len(x.chunks); x.room++ {
		if c := x.chunks[x.room]; c != nil && c.used < chunkTopics {
			return x.room<<topicShift | x.own(x.room).take(r)
		}
	}
	c := new(chunk)
	if n := len(x.given); n > 0 {
		x.room, x.given = x.given[n-1], x.given[:n-1]
		x.chunks[x.room] = c
	} else {
		x.chunks = append(x.chunks, c)
	}
	x.held += chunkTopics
	return x.room<<topicShift | c.take(r)
}

// take fills the first free place: one without a name.
func (c *chunk) take(r topic) topicID {
	for c.topic[c.from].size > 0 {
		c.from++
	}
	c.topic[c.from] = r
	c.used++
	c.from++
	return topicID(c.from - 1)
}

// free empties a place.
func (x *records) free(id topicID) {
	at, place := id>>topicShift, int(id&(chunkTopics-1))
	c := x.own(at)
	c.topic[place] = topic{}
	c.from = min(c.from, place)
	if c.used--; c.used > 0 {
		x.room = min(x.room, at)
		return
	}
	x.chunks[at] = nil
	x.given = append(x.given, at)
	x.held -= chunkTopics
}

func (x *records) bytes() int64 {
	return int64(x.held/chunkTopics)*chunkBytes + int64(cap(x.chunks))*8 + int64(cap(x.given))*4
}

// moveTopics empties a chunk of records that is mostly free, if there is much
// room in all: what leaves, leaves everywhere. A topic moves as long as its T
// row and that one's children are all that name it.
func (t *Table) moveTopics() {
	x := &t.topics.records
	if x.held-t.topics.n < 4*chunkTopics || 2*t.topics.n > x.held {
		return
	}
	for range moveLook {
		if x.cursor++; int(x.cursor) >= len(x.chunks) {
			x.cursor = 0
		}
		if c := x.chunks[x.cursor]; c != nil && 2*c.used <= chunkTopics {
			t.moveChunk(x.cursor)
			return
		}
	}
}

// moveLook is how many chunks moveTopics looks at.
const moveLook = 64

// moveChunk moves what can move of a chunk to others that have room.
func (t *Table) moveChunk(from uint32) {
	x := &t.topics.records
	c := x.own(from)
	full := c.used
	c.used = chunkTopics // nothing is to move into it
	moved := 0
	for i := range c.topic {
		if r := &c.topic[i]; r.size > 0 && r.regions == 0 {
			t.moveTopic(from<<topicShift|topicID(i), r)
			moved++
		}
	}
	c.used = full - moved
	if c.from = 0; c.used == 0 {
		x.chunks[from] = nil
		x.given = append(x.given, from)
		x.held -= chunkTopics
		return
	}
	x.room = min(x.room, from)
}

// moveTopic gives a topic, whose chunk is the table's own, another id.
func (t *Table) moveTopic(id topicID, r *topic) {
	to := t.topics.records.take(*r)
	for link := r.row; link != 0; link = t.rows.at(link).link {
		t.rows.edit(link).topic = to
	}
	t.topics.index.remove(r.hash, id)
	t.topics.index.add(r.hash, to)
	t.topics.setOwner(r.name, to)
	*r = topic{}
}
