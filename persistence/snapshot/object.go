package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/crestdb/crest/messages"
)

var le = binary.LittleEndian

const (
	objectMagic   = "CRESTPRT"
	objectVersion = 1
	objectHeader  = 72
	// MaxObject bounds an object of a part, as stored and decompressed.
	MaxObject = 16 << 20
)

// How the body of an object is stored.
const (
	codecNone = 0
	codecZstd = 1
)

// objectID says whose an object is: what its header repeats of its key.
type objectID struct {
	log       hexID
	partition messages.Partition
	name      objectName
}

// objectReaders reads the versions there have been.
var objectReaders = map[uint32]func(b []byte, id objectID) (codec uint32, raw int, body []byte, err error){1: readObject1}

// newEncoder and newDecoder make the two halves of the compression, for n
// goroutines at a time; more wait.
func newEncoder(n int) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(n),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false)) // the object has a checksum
	if err != nil {
		panic(err) // the options are constants
	}
	return enc
}

func newDecoder(n int) *zstd.Decoder {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(n), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxObject))
	if err != nil {
		panic(err)
	}
	return dec
}

// encodeObject appends an object to dst[:0], and returns its checksum.
func encodeObject(dst []byte, id objectID, raw []byte, enc *zstd.Encoder) ([]byte, uint32) {
	dst = append(dst[:0], make([]byte, objectHeader)...)
	codec := uint32(codecZstd)
	dst = enc.EncodeAll(raw, dst)
	if len(dst)-objectHeader >= len(raw) {
		codec = codecNone
		dst = append(dst[:objectHeader], raw...)
	}
	copy(dst, objectMagic)
	le.PutUint32(dst[8:], objectVersion)
	le.PutUint32(dst[12:], codec)
	copy(dst[16:], id.log[:])
	le.PutUint32(dst[32:], uint32(id.partition))
	le.PutUint32(dst[36:], uint32(len(raw)))
	le.PutUint64(dst[40:], id.name.epoch)
	copy(dst[48:], id.name.nonce[:])
	le.PutUint64(dst[56:], id.name.seq)
	le.PutUint32(dst[64:], uint32(len(dst)-objectHeader))
	sum := objectSum(dst)
	le.PutUint32(dst[68:], sum)
	return dst, sum
}

// objectSum covers everything but itself.
func objectSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:68], castagnoli), castagnoli, b[objectHeader:])
}

// decodeObject checks an object and appends its raw bytes to dst[:0].
func decodeObject(dst, b []byte, id objectID, dec *zstd.Decoder) ([]byte, error) {
	if len(b) < 12 || string(b[:8]) != objectMagic {
		return nil, errors.New("it is no part of a snapshot")
	}
	read, ok := objectReaders[le.Uint32(b[8:])]
	if !ok {
		return nil, errVersion(le.Uint32(b[8:]), objectReaders)
	}
	codec, size, body, err := read(b, id)
	if err != nil {
		return nil, err
	}
	switch codec {
	case codecNone:
		dst = append(dst[:0], body...)
	case codecZstd:
		if dst, err = dec.DecodeAll(body, dst[:0]); err != nil {
			return nil, fmt.Errorf("decompress it: %w", err)
		}
	default:
		return nil, fmt.Errorf("its compression %d is unknown", codec)
	}
	if len(dst) != size {
		return nil, fmt.Errorf("it decompresses to %d bytes, not %d", len(dst), size)
	}
	return dst, nil
}

func readObject1(b []byte, id objectID) (codec uint32, raw int, body []byte, err error) {
	if len(b) < objectHeader || int64(le.Uint32(b[64:])) != int64(len(b)-objectHeader) {
		return 0, 0, nil, fmt.Errorf("it has %d bytes, which is not what its header says", len(b))
	}
	if objectSum(b) != le.Uint32(b[68:]) {
		return 0, 0, nil, errChecksum
	}
	name := objectName{epoch: le.Uint64(b[40:]), nonce: nonce(b[48:56]), seq: le.Uint64(b[56:]), kind: partKind}
	switch {
	case hexID(b[16:32]) != id.log:
		return 0, 0, nil, fmt.Errorf("%w: it is of log %v", ErrIdentity, hexID(b[16:32]))
	case messages.Partition(le.Uint32(b[32:])) != id.partition:
		return 0, 0, nil, fmt.Errorf("%w: it is of partition %d", ErrIdentity, le.Uint32(b[32:]))
	case name != id.name:
		return 0, 0, nil, fmt.Errorf("it is another object, %v", name)
	}
	size := le.Uint32(b[36:])
	if size > MaxObject {
		return 0, 0, nil, fmt.Errorf("%d raw bytes are impossible", size)
	}
	return le.Uint32(b[12:]), int(size), b[objectHeader:], nil
}
