package kafka

import (
	"fmt"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
)

// cursor goes through one partition: it has what was fetched and not handed out
// yet. It belongs to one Read at a time.
type cursor struct {
	log       *Log
	partition messages.Partition
	decoder   Decoder
	// given is where the last Read has ended, at where the next record is looked
	// for: behind it by what holds nothing.
	given, at messages.Offset
	want      int // bytes to ask for

	fetched *fetched // nil: nothing
	rest    []byte   // of its batches
	aborted abortedSet

	inside   bool // a batch
	head     batchHead
	records  recordIter // of head
	inflated *[]byte    // what they lie in, if they were compressed

	record  record
	message messages.Message
	check   messages.Record
}

// inflates are buffers for decompressed batches.
var inflates = sync.Pool{New: func() any { return new([]byte) }}

// maxKept bounds the buffers that are used again; one huge batch must not hold
// its memory for ever.
const maxKept = 16 << 20

func (l *Log) newCursor(p messages.Partition, from messages.Offset) *cursor {
	c := &cursor{log: l, partition: p, decoder: l.cfg.Decoder()}
	c.seek(from)
	return c
}

// seek makes the cursor one that has fetched nothing, at an offset.
func (c *cursor) seek(at messages.Offset) {
	c.given, c.at, c.want = at, at, c.log.cfg.FetchBytes
}

// load takes what was fetched at its offset.
func (c *cursor) load(f *fetched) {
	c.fetched, c.rest = f, f.records
	c.aborted.reset(f.aborted)
	if c.want < c.log.cfg.FetchBytes { // it was slow
		c.want *= 2
	}
}

// drop gives back what was fetched.
func (c *cursor) drop() {
	c.leave()
	if c.fetched != nil {
		c.fetched.free()
		c.fetched, c.rest = nil, nil
	}
}

// leave ends the batch that the cursor is inside.
func (c *cursor) leave() {
	if c.inflated != nil {
		if cap(*c.inflated) <= maxKept {
			inflates.Put(c.inflated)
		}
		c.inflated = nil
	}
	c.inside, c.records = false, recordIter{}
}

// fill hands out what was fetched, as blocks. No block and no error: there is
// nothing more, and the next is to be fetched at c.at.
func (c *cursor) fill(b *messages.Batch) error {
	out := newAssembly(c, b)
	err := c.assemble(out)
	out.finish(c.at)
	return err
}

func (c *cursor) assemble(out *assembly) error {
	for {
		if !c.inside {
			if more, err := c.enter(out); err != nil || !more {
				return err
			}
			continue
		}
		for c.records.next(&c.record) {
			if messages.Offset(c.record.offset) < c.at {
				continue
			}
			c.at = messages.Offset(c.record.offset) + 1
			if out.add(&c.record); out.full {
				return nil
			}
		}
		c.endBatch(out)
		if out.full {
			return nil
		}
	}
}

// enter goes into the next batch that has records for a reader, or past one that
// has none. more is false if there is no batch.
func (c *cursor) enter(out *assembly) (more bool, err error) {
	if len(c.rest) == 0 {
		return false, nil
	}
	h, rest, err := nextBatch(c.rest)
	switch {
	case err == errCut:
		if len(c.rest) == len(c.fetched.records) {
			// Not even one: it is longer than what was asked for.
			if c.want >= maxAnswer/2 {
				return false, fmt.Errorf("batch at offset %d: %w at %d bytes", c.at, err, c.want)
			}
			c.want = min(2*c.want, maxAnswer/2)
		}
		c.rest = nil
		return false, nil
	case err != nil:
		return false, fmt.Errorf("batch at offset %d: %w", max(h.base, int64(c.at)), err)
	}
	c.rest, c.want = rest, min(c.want, c.log.cfg.FetchBytes)
	next := messages.Offset(h.next)
	if c.aborted.skips(&h) || next <= c.at {
		c.at = max(c.at, next)
		return true, nil
	}
	c.log.reading.brokers.heard(&h)
	c.head, c.inside = h, true
	c.records = recordIter{head: &c.head, b: h.records, left: h.count}
	if h.codec == 0 {
		return true, nil
	}
	c.inflated = inflates.Get().(*[]byte)
	*c.inflated, err = h.inflate((*c.inflated)[:0])
	c.records.b = *c.inflated
	if err != nil {
		// Its bytes are as they were written, and fetching again brings the same.
		out.refuseRest(max(h.base, int64(c.at)), err)
		c.records.left = 0
	}
	return true, nil
}

// endBatch goes behind a batch, whatever of it could be read.
func (c *cursor) endBatch(out *assembly) {
	if c.records.bad && c.at < messages.Offset(c.head.next) {
		out.refuseRest(int64(c.at), errMalformed)
	}
	c.at = max(c.at, messages.Offset(c.head.next))
	c.leave()
	if out.open == events { // a part is in one batch; what goes on behind it is none of crest's
		out.close()
		out.fillUp()
	}
}

// assembly makes the blocks of one Read.
type assembly struct {
	c        *cursor
	b        *messages.Batch
	settings messages.Settings
	now      messages.Micros // the reader's clock, once for all records
	full     bool            // no more blocks in this Read

	end  messages.Offset // behind the last block
	left int             // bytes of data that may still come

	// open is the last block if records may join it; its data is what is in data.
	open   joining
	events eventRun
	data   []byte
	sents  []messages.Sent
}

// joining tells what may join the last block.
type joining uint8

const (
	nothing joining = iota
	foreign         // others' records that came at the same moment
	events          // the other events of one of crest's blocks
)

func newAssembly(c *cursor, b *messages.Batch) *assembly {
	a := &assembly{c: c, b: b, settings: b.Settings, now: c.log.cfg.Now(), end: b.Next, left: b.MaxBytes}
	if a.settings == (messages.Settings{}) {
		a.settings = c.log.id.Settings
	}
	if a.left <= 0 {
		a.left = defaultBatchBytes
	}
	return a
}

// finish ends the last block, and stands for what holds nothing behind it.
func (a *assembly) finish(at messages.Offset) {
	a.close()
	if !a.full && at > a.end {
		a.begin(messages.ReadBlock{Kind: messages.FrameGap})
		a.extend(at)
		a.close()
	}
	a.b.Next = a.end
}

// begin opens a block behind the last one.
func (a *assembly) begin(block messages.ReadBlock) *messages.ReadBlock {
	a.close()
	block.Offset, block.End = a.end, a.end
	a.b.Blocks = append(a.b.Blocks, block)
	return a.last()
}

func (a *assembly) last() *messages.ReadBlock { return &a.b.Blocks[len(a.b.Blocks)-1] }

// extend makes the last block reach up to an offset.
func (a *assembly) extend(end messages.Offset) {
	a.end = end
	a.last().End = end
}

// close ends what may join the last block, and gives it its data.
func (a *assembly) close() {
	if n := len(a.data); n > 0 {
		a.last().Data = a.data[:n:n]
		a.data = a.data[n:]
		a.left -= n
	}
	a.open = nothing
}

// Data of blocks is cut from chunks, which live as long as one of their blocks.
const (
	leastChunk = 512
	mostChunk  = 256 << 10
)

// room makes a new chunk where little is left of the last one, so that a block's
// data seldom moves.
func (a *assembly) room(n int) {
	if cap(a.data)-len(a.data) >= n || len(a.data) > 0 {
		return
	}
	a.data = make([]byte, 0, max(n, min(max(len(a.c.rest)+len(a.c.records.b), leastChunk), mostChunk)))
}

// add hands out one record.
func (a *assembly) add(r *record) {
	for i := range r.headers {
		if string(r.headers[i].Key) == headerKey {
			a.addOwn(r, r.headers[i].Value)
			a.fillUp()
			return
		}
	}
	a.addForeign(r)
	a.fillUp()
}

// mostBlocks bounds the blocks of one Read: what is refused, or a tick, has no data,
// and a batch may hold millions of such.
const mostBlocks = 1 << 14

// fillUp ends the Read if it has its bytes. A block that has all its records but
// not all its events is never left so: a later Read could not tell.
func (a *assembly) fillUp() {
	if (a.left-len(a.data) <= 0 || len(a.b.Blocks) >= mostBlocks) && a.open != events {
		a.close()
		a.full = true
	}
}

func (a *assembly) addForeign(r *record) {
	c := a.c
	stamp, why := a.arrival(r)
	if why != "" {
		// Its time is no arrival, and must not move the partition's clock.
		a.join(0)
		a.refuse(r, []messages.Refusal{{Reason: why}})
		return
	}
	if a.open == foreign && len(a.data) > 0 && cap(a.data)-len(a.data) < len(r.value) {
		a.close() // rather another block than all of this one moved
	}
	a.join(stamp)
	a.room(len(r.value))
	m := &c.message
	m.Key, m.Value, m.Headers = r.key, r.value, r.headers
	m.Stamp, m.Latest = stamp, stamp+a.maxAhead()
	var n int
	var refused []messages.Refusal
	before := len(a.data)
	a.data, n, refused = c.decoder.Decode(m, a.data)
	if c.log.cfg.Keyed {
		c.stray(r, a.data[before:])
	}
	block := a.last()
	block.Records += uint32(n)
	a.extend(messages.Offset(r.offset) + 1)
	if len(refused) > 0 {
		a.refuse(r, refused)
	}
}

// join opens a block of others' records that came at one moment, unless the last
// one is.
func (a *assembly) join(stamp messages.Micros) {
	if a.open != foreign || a.last().Stamp != stamp {
		a.begin(messages.ReadBlock{Kind: messages.FrameEvents, Stamp: stamp})
		a.open = foreign
	}
}

// refuse puts events of a record aside, and accounts for them in the last block.
func (a *assembly) refuse(r *record, refused []messages.Refusal) {
	a.last().Refused += uint32(messages.RefusedEvents(refused))
	a.extend(messages.Offset(r.offset) + 1)
	a.c.log.refuse(a.c.partition, r, refused)
}

// refuseRest puts aside what cannot be read of a batch, from an offset on, as
// one.
func (a *assembly) refuseRest(from int64, why error) {
	h := &a.c.head
	a.join(0)
	from = min(max(from, h.base), h.next-1)
	a.refuse(&record{offset: from, time: h.maxTime},
		[]messages.Refusal{{Reason: fmt.Sprintf("%s (offsets %d to %d)", why, from, h.next-1)}})
	a.extend(messages.Offset(h.next))
}

// arrival is when a record came. In a topic where that is the producer's word,
// it is held against the reader's clock; why says what is wrong with it.
func (a *assembly) arrival(r *record) (stamp messages.Micros, why string) {
	stamp = messages.Micros(r.time) * messages.Millisecond
	if a.c.head.appendTime {
		return stamp, ""
	}
	if r.time < 0 || r.time > maxMillis {
		return 0, fmt.Sprintf("the record's timestamp %d is no time", r.time)
	}
	if ahead := stamp - a.now; ahead > a.maxAhead() {
		return 0, fmt.Sprintf("the record is stamped %s, %d s ahead of the reader's clock: at most %v",
			time.UnixMicro(int64(stamp)).UTC().Format(time.RFC3339), ahead/messages.Second, a.settings.MaxAhead)
	}
	return stamp, ""
}

func (a *assembly) maxAhead() messages.Micros {
	return messages.Micros(a.settings.MaxAhead / time.Microsecond)
}

// maxMillis is the last millisecond that a timestamp may name.
const maxMillis = 1e14 - 1
