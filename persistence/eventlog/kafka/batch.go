package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/compress"

	"github.com/crestdb/crest/messages"
)

// maxInflated bounds what a record batch may have decompressed: a megabyte can
// say that it is thousands.
const maxInflated = 128 << 20

// maxHeaders bounds the headers of a record that are looked at. An empty one takes
// two bytes of a batch, which compress to nothing, and 48 here.
const maxHeaders = 4096

var (
	// errCut: the bytes end before the batch does, as the last one of a fetch may.
	errCut = errors.New("the record batch is cut off")
	// errDamaged: these are not the bytes that somebody wrote.
	errDamaged = errors.New("the record batch is damaged")
	// errOld: a batch from before Kafka 0.11.
	errOld = errors.New("the record batch has a format from before Kafka 0.11, which is not read")
)

// errMalformed: a batch came as it was written, and was written wrong.
var errMalformed = errors.New("the record batch has records that cannot be read")

// record is one record of a batch. Its bytes are the batch's.
type record struct {
	offset, time int64 // time: arrival, or what the producer says; milliseconds
	key, value   []byte
	headers      []messages.Header
}

// batchHead is what a record batch says of its records.
type batchHead struct {
	base, next int64 // the first offset, and the one behind the last
	// appendTime: every record came at maxTime, whatever it says itself.
	appendTime             bool
	baseTime, maxTime      int64
	producer               int64
	transactional, control bool
	codec                  int8
	count                  int32
	records                []byte // compressed with codec
}

// nextBatch takes the batch that begins b off it. The records' bytes are b's.
func nextBatch(b []byte) (h batchHead, rest []byte, err error) {
	if len(b) < batchFixed {
		if len(b) > atMagic && b[atMagic] < batchMagic {
			return h, nil, errOld
		}
		return h, nil, errCut
	}
	h.base = int64(be.Uint64(b))
	switch size := int32(be.Uint32(b[atBatchLength:])); {
	case b[atMagic] < batchMagic:
		return h, nil, errOld
	case b[atMagic] > batchMagic:
		return h, nil, fmt.Errorf("%w: format %d", errDamaged, b[atMagic])
	case size < batchFixed-atBatchLength-4:
		return h, nil, fmt.Errorf("%w: %d bytes", errDamaged, size)
	case int(size) > len(b)-atBatchLength-4:
		return h, nil, errCut
	default:
		b, rest = b[:atBatchLength+4+size], b[atBatchLength+4+size:]
	}
	if crc32.Checksum(b[atAttributes:], castagnoli) != be.Uint32(b[atCRC:]) {
		return h, nil, fmt.Errorf("%w: its checksum is wrong", errDamaged)
	}
	attributes, last := be.Uint16(b[atAttributes:]), int32(be.Uint32(b[23:]))
	h.codec = int8(attributes & 7)
	h.appendTime = attributes&8 != 0
	h.transactional = attributes&16 != 0
	h.control = attributes&32 != 0
	h.next = h.base + int64(last) + 1
	h.baseTime, h.maxTime = int64(be.Uint64(b[27:])), int64(be.Uint64(b[35:]))
	h.producer = int64(be.Uint64(b[43:]))
	h.count = int32(be.Uint32(b[atRecordCount:]))
	h.records = b[batchFixed:]
	if h.base < 0 || last < 0 || h.count < 0 || h.next <= h.base {
		return h, nil, fmt.Errorf("%w: offset %d and %d records up to %d behind it", errDamaged, h.base, h.count, last)
	}
	return h, rest, nil
}

// inflate appends the records of a batch, decompressed, to dst.
func (h *batchHead) inflate(dst []byte) ([]byte, error) {
	codec := compress.Compression(h.codec).Codec()
	if codec == nil {
		return dst, fmt.Errorf("%w: compression %d is unknown", errMalformed, h.codec)
	}
	z := codec.NewReader(bytes.NewReader(h.records))
	defer z.Close()
	for {
		if len(dst) > maxInflated {
			return dst, fmt.Errorf("%w: they are more than %d bytes", errMalformed, maxInflated)
		}
		if len(dst) == cap(dst) {
			more := make([]byte, len(dst), min(max(2*cap(dst), 4*len(h.records), 4096), maxInflated+1))
			copy(more, dst)
			dst = more
		}
		n, err := z.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("%w: decompress with %s: %s", errMalformed, codec.Name(), short(err))
		}
	}
}

// recordIter goes through the records of a batch.
type recordIter struct {
	head *batchHead
	b    []byte // decompressed
	left int32
	bad  bool // what is left cannot be read
}

// next fills r with the next record, if there is one. The headers' slice is used
// again.
func (it *recordIter) next(r *record) bool {
	if it.left <= 0 || it.bad {
		return false
	}
	it.left--
	size, b := varint(it.b)
	if b == nil || size < 0 || size > int64(len(b)) {
		it.bad = true
		return false
	}
	it.b = b[size:]
	it.bad = !it.head.parse(b[:size], r)
	return !it.bad
}

// parse reads one record behind its length.
func (h *batchHead) parse(b []byte, r *record) bool {
	if len(b) < 1 {
		return false
	}
	after, b := varint(b[1:]) // there are no attributes
	delta, b := varint(b)
	r.offset = h.base + delta
	if h.appendTime {
		r.time = h.maxTime
	} else {
		r.time = h.baseTime + after
	}
	var ok bool
	if r.key, b, ok = nullable(b); !ok {
		return false
	}
	if r.value, b, ok = nullable(b); !ok {
		return false
	}
	headers, b := varint(b)
	if b == nil || headers < 0 || headers > int64(len(b)) || delta < 0 || r.offset >= h.next {
		return false
	}
	r.headers = r.headers[:0]
	for range headers {
		var m messages.Header
		if m.Key, b, ok = nullable(b); !ok {
			return false
		}
		if m.Value, b, ok = nullable(b); !ok {
			return false
		}
		if len(r.headers) < maxHeaders {
			r.headers = append(r.headers, m)
		}
	}
	return len(b) == 0
}

// varint takes a zigzag varint off b; rest is nil if there is none.
func varint(b []byte) (v int64, rest []byte) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:]
	}
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil
	}
	return v, b[n:]
}

// nullable takes bytes with their length in front off b. Null is nil.
func nullable(b []byte) (v, rest []byte, ok bool) {
	n, b := varint(b)
	switch {
	case b == nil || n > int64(len(b)):
		return nil, nil, false
	case n < 0:
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
