package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/segmentio/kafka-go/compress"

	"github.com/crestdb/crest/messages"
)

// The layout of a record batch of version 2, as Kafka's protocol has it.
const (
	batchFixed    = 61 // everything before the records
	atBatchLength = 8  // of all behind this field
	atMagic       = 16
	atCRC         = 17 // of all behind this field
	atAttributes  = 21
	atRecordCount = 57

	batchMagic = 2
)

var (
	be         = binary.BigEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// batchEncoder makes record batches, one after the other, in memory of its own.
// It belongs to one goroutine.
type batchEncoder struct {
	codec compress.Codec // nil: none

	plain  []byte // the records so far, as encoded
	count  int
	first  int64 // the first one's timestamp, in milliseconds
	last   int64 // the largest
	sealed bytes.Buffer

	header  []byte // of crest's own records
	headers [1]messages.Header
}

// newBatchEncoder is one that compresses as Config.Compression says.
func newBatchEncoder(compression string) (*batchEncoder, error) {
	e := &batchEncoder{}
	if compression == "" || compression == "none" {
		return e, nil
	}
	for _, codec := range compress.Codecs {
		if codec != nil && codec.Name() == compression {
			e.codec = codec
			return e, nil
		}
	}
	return nil, fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", compression)
}

// reset begins another batch. What sealed has returned is no longer valid.
func (e *batchEncoder) reset() {
	e.plain, e.count = e.plain[:0], 0
}

// add puts a record behind those of the batch. Nothing of it is kept. A nil key
// or value is Kafka's null.
func (e *batchEncoder) add(millis int64, key, value []byte, headers []messages.Header) {
	if e.count == 0 {
		e.first, e.last = millis, millis
	}
	e.last = max(e.last, millis)
	// The length goes in front, so it is counted before anything is written.
	size := 1 + varintLen(millis-e.first) + varintLen(int64(e.count)) + nullableLen(key) + nullableLen(value) + varintLen(int64(len(headers)))
	for i := range headers {
		size += nullableLen(headers[i].Key) + nullableLen(headers[i].Value)
	}
	b := binary.AppendVarint(e.plain, int64(size))
	b = append(b, 0) // no attributes
	b = binary.AppendVarint(b, millis-e.first)
	b = binary.AppendVarint(b, int64(e.count))
	b = appendNullable(b, key)
	b = appendNullable(b, value)
	b = binary.AppendVarint(b, int64(len(headers)))
	for i := range headers {
		b = appendNullable(b, headers[i].Key)
		b = appendNullable(b, headers[i].Value)
	}
	e.plain = b
	e.count++
}

// addOwn adds a record of crest's own.
func (e *batchEncoder) addOwn(millis int64, key, value []byte, h *blockHeader) {
	e.header = h.appendTo(e.header[:0])
	e.headers[0] = messages.Header{Key: headerName, Value: e.header}
	e.add(millis, key, value, e.headers[:])
}

// varintLen is the length of v as a zigzag varint.
func varintLen(v int64) int { return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7 }

// nullableLen is the length of what appendNullable writes.
func nullableLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

// appendNullable is a field with its length in front, -1 for nil.
func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

// seal is the batch of what was added, as a produce request carries it; valid
// until the next reset.
func (e *batchEncoder) seal() ([]byte, error) {
	e.sealed.Reset()
	var head [batchFixed]byte
	e.sealed.Write(head[:])
	attributes := int16(0)
	if e.codec == nil {
		e.sealed.Write(e.plain)
	} else {
		attributes = int16(e.codec.Code())
		if err := compressTo(&e.sealed, e.codec, e.plain); err != nil {
			return nil, fmt.Errorf("compress with %s: %w", e.codec.Name(), err)
		}
	}
	b := e.sealed.Bytes()
	// The base offset is the broker's to say: 0.
	be.PutUint32(b[atBatchLength:], uint32(len(b)-atBatchLength-4))
	be.PutUint32(b[12:], ^uint32(0)) // leader epoch: unknown
	b[atMagic] = batchMagic
	be.PutUint16(b[atAttributes:], uint16(attributes))
	be.PutUint32(b[23:], uint32(e.count-1)) // last offset delta
	be.PutUint64(b[27:], uint64(e.first))
	be.PutUint64(b[35:], uint64(e.last))
	be.PutUint64(b[43:], ^uint64(0)) // no producer id: sequences are in the records' headers
	be.PutUint16(b[51:], ^uint16(0)) // nor epoch
	be.PutUint32(b[53:], ^uint32(0)) // nor sequence
	be.PutUint32(b[atRecordCount:], uint32(e.count))
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b, nil
}

func compressTo(w io.Writer, codec compress.Codec, b []byte) error {
	z := codec.NewWriter(w)
	if _, err := z.Write(b); err != nil {
		_ = z.Close() // the first error is the one to tell
		return err
	}
	return z.Close()
}
