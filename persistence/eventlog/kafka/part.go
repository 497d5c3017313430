package kafka

import (
	"errors"
	"fmt"

	"github.com/crestdb/crest/messages"
)

// recordOverhead is what a record takes in a batch beside what it holds, its
// crest header's fixed fields among it.
const recordOverhead = 96

var errRecords = errors.New("its data does not have as many records as it says")

// part is what is written to a partition together: a block, or as much of one as
// fits into a Kafka record. With WriteEvents it is one record for each event, all
// in one batch.
type part struct {
	of        *pending
	block     int // the block's place in its frame
	partition messages.Partition

	kind    messages.FrameKind
	stamp   messages.Micros
	follows *messages.Followed
	key     string
	hash    messages.BodyHash
	number  uint32 // from 0, in its block
	records uint32

	data   []byte  // encoded records, or settings
	events []event // with WriteEvents, in place of data

	size     int    // what it takes in a batch, about
	sequence uint64 // the writer's: set when it is sent first
}

// partsOf cuts the blocks of a frame into parts of at most limit bytes. A record
// that is longer by itself gets a part of its own. The parts have their own copy
// of everything.
func partsOf(f *messages.Frame, of *pending, write Write, limit int) ([]part, error) {
	size := 0
	for i := range f.Blocks {
		size += len(f.Blocks[i].Data)
	}
	own := make([]byte, 0, size)
	parts := make([]part, 0, len(f.Blocks))
	for i := range f.Blocks {
		b := f.Blocks[i]
		from := len(own)
		own = append(own, b.Data...)
		b.Data = own[from:len(own):len(own)]
		p := part{
			of: of, block: i, partition: b.Partition, kind: f.Kind, stamp: f.Stamp, follows: f.Follows,
			key: f.Key, hash: f.BodyHash, records: b.Records, data: b.Data,
		}
		var err error
		switch {
		case write == WriteEvents && b.Records > 0:
			parts, err = appendEvents(parts, p, &b, limit)
		case b.Records > 0:
			parts, err = appendCut(parts, p, limit)
		default:
			p.size = p.overhead() + len(p.data)
			parts = append(parts, p)
		}
		if err != nil {
			return nil, fmt.Errorf("block for partition %d: %w", b.Partition, err)
		}
	}
	return parts, nil
}

// overhead is what its record takes beside its data.
func (p *part) overhead() int { return recordOverhead + len(p.key) }

// weight is what a record takes of a part's limit: its bytes as they are written,
// but under a key about what it takes however it is written, by whom. Partitions
// tell the parts under a key apart by their numbers, so whoever repeats a request
// has to cut it alike: with --kafka-write block or event, users hashed or plain.
func (p *part) weight(raw []byte, bytes int) (int, error) {
	if p.key == "" {
		return bytes, nil
	}
	var r messages.Record
	if _, err := r.ReadFrom(raw); err != nil {
		return 0, err
	}
	return 3*(len(r.Topic)+len(r.ID)+len(r.Category)+len(r.Region)) + 2*len(r.Extra) + keyedWeight, nil
}

// keyedWeight is what a record under a key takes beside its texts: as an event, a
// header and a JSON object's frame.
const keyedWeight = recordOverhead + messages.MaxKeyBytes + 256

// appendCut cuts p between records.
func appendCut(parts []part, p part, limit int) ([]part, error) {
	rest := p.data
	if p.key == "" && p.overhead()+len(rest) <= limit {
		p.size = p.overhead() + len(rest)
		return append(parts, p), nil
	}
	left := p.records
	for number := uint32(0); len(rest) > 0; number++ {
		n, size, records := 0, 0, uint32(0)
		for n < len(rest) {
			length, err := recordLength(rest[n:])
			if err != nil {
				return nil, err
			}
			weight, err := p.weight(rest[n:n+length], length)
			if err != nil {
				return nil, err
			}
			if records > 0 && p.overhead()+size+weight > limit {
				break
			}
			n, size, records = n+length, size+weight, records+1
		}
		if records > left {
			return nil, errRecords
		}
		q := p
		q.number, q.records, q.data, q.size = number, records, rest[:n:n], p.overhead()+n
		parts, rest, left = append(parts, q), rest[n:], left-records
	}
	if left > 0 {
		return nil, errRecords
	}
	return parts, nil
}

// appendEvents cuts p between events.
func appendEvents(parts []part, p part, b *messages.Block, limit int) ([]part, error) {
	events, err := eventsOf(b)
	if err != nil {
		return nil, err
	}
	p.data = nil
	for number := uint32(0); len(events) > 0; number++ {
		n, size := 0, 0
		bytes := 0
		for n < len(events) {
			weight, err := p.weight(events[n].binary, events[n].bytes())
			if err != nil {
				return nil, err
			}
			if n > 0 && p.overhead()+size+weight > limit {
				break
			}
			size += weight
			bytes += events[n].bytes() + len(p.key)
			n++
		}
		q := p
		q.number, q.records, q.events, q.size = number, uint32(n), events[:n:n], bytes
		parts, events = append(parts, q), events[n:]
	}
	return parts, nil
}

// encodeTo adds the part's records to a batch.
func (p *part) encodeTo(e *batchEncoder, writer messages.WriterID) {
	h := blockHeader{
		kind: p.kind, records: p.records, part: p.number, key: p.key, hash: p.hash,
		sent: messages.Sent{Stamp: p.stamp, Writer: writer, Sequence: p.sequence, Follows: p.follows},
	}
	millis := int64(p.stamp / messages.Millisecond)
	if p.events == nil {
		data := p.data
		if data == nil {
			data = []byte{} // null would be a tombstone
		}
		e.addOwn(millis, nil, data, &h)
		return
	}
	h.event = true
	for i := range p.events {
		ev := &p.events[i]
		h.index, h.record = uint32(i), ev.binary
		e.addOwn(millis, ev.key, ev.value, &h)
	}
}
