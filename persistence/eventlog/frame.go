package eventlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/crestdb/crest/messages"
)

// The layout of a frame; FORMAT.md has the table.
const (
	frameFixed = 20 // length, checksum, stamp, kind, key length, number of blocks
	blockEntry = 20 // partition, records, offset, data length

	// MaxFrameBytes bounds a frame as encoded.
	MaxFrameBytes = 256 << 20
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// checkFrame refuses what cannot be encoded: a caller's mistake.
func checkFrame(f *messages.Frame, partitions int) error {
	if f.Kind < messages.FrameEvents || f.Kind > messages.FrameControl {
		return fmt.Errorf("unknown kind %d", f.Kind)
	}
	if len(f.Key) > messages.MaxKeyBytes {
		return fmt.Errorf("key of %d bytes: at most %d", len(f.Key), messages.MaxKeyBytes)
	}
	if len(f.Blocks) == 0 {
		return fmt.Errorf("no blocks")
	}
	for i := range f.Blocks {
		p := f.Blocks[i].Partition
		if int(p) >= partitions || i > 0 && p <= f.Blocks[i-1].Partition {
			return fmt.Errorf("block %d is for partition %d: want ascending ones below %d", i, p, partitions)
		}
	}
	if n := frameSize(f); n > MaxFrameBytes {
		return fmt.Errorf("%d bytes: at most %d", n, MaxFrameBytes)
	}
	return nil
}

// frameSize is the length of f as encoded.
func frameSize(f *messages.Frame) int {
	n := frameFixed + len(f.Blocks)*blockEntry
	if f.Key != "" {
		n += len(f.Key) + len(f.BodyHash)
	}
	for i := range f.Blocks {
		n += len(f.Blocks[i].Data)
	}
	return n
}

// encodeFrame fills b, which has length frameSize(f), but for the checksum and
// the offsets.
func encodeFrame(b []byte, f *messages.Frame) {
	le.PutUint32(b, uint32(len(b)))
	le.PutUint64(b[8:], uint64(f.Stamp))
	b[16], b[17] = byte(f.Kind), byte(len(f.Key))
	le.PutUint16(b[18:], uint16(len(f.Blocks)))
	b = b[frameFixed:]
	if f.Key != "" {
		b = b[copy(b, f.Key):]
		b = b[copy(b, f.BodyHash[:]):]
	}
	data := b[len(f.Blocks)*blockEntry:]
	for i := range f.Blocks {
		k := &f.Blocks[i]
		le.PutUint32(b, uint32(k.Partition))
		le.PutUint32(b[4:], k.Records)
		le.PutUint32(b[16:], uint32(len(k.Data)))
		b = b[blockEntry:]
		data = data[copy(data, k.Data):]
	}
}

// placeFrame gives the blocks of an encoded frame their offsets: it writes them
// into b, moves next on, and fills pos as Append returns it.
func placeFrame(b []byte, f *messages.Frame, next []messages.Offset, pos messages.Position) {
	clear(pos)
	at := frameFixed
	if f.Key != "" {
		at += len(f.Key) + len(f.BodyHash)
	}
	for i := range f.Blocks {
		k := &f.Blocks[i]
		le.PutUint64(b[at+8:], uint64(next[k.Partition]))
		next[k.Partition] += k.Span()
		pos[k.Partition] = next[k.Partition]
		at += blockEntry
	}
}

// checksum of an encoded frame. The seed is its segment's, so that bytes which
// belong to another segment or log never pass.
func checksum(b []byte, seed uint32) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, b[:4]), castagnoli, b[8:])
}

// sealFrame writes the checksum.
func sealFrame(b []byte, seed uint32) { le.PutUint32(b[4:], checksum(b, seed)) }

// frameLength reads the length of the frame that begins b, of which room bytes
// are at hand or can be had.
func frameLength(b []byte, room int64) (int, error) {
	n := le.Uint32(b)
	switch {
	case n < frameFixed+blockEntry || n > MaxFrameBytes:
		return 0, errLength
	case int64(n) > room:
		return 0, errPastEnd
	}
	return int(n), nil
}

// frame is a decoded frame. Its slices point into the bytes it was read from.
type frame struct {
	raw   []byte
	stamp messages.Micros
	kind  messages.FrameKind
	key   []byte
	hash  messages.BodyHash
	table []byte // block entries
	data  []byte // blocks' data, one behind the other
}

// parse checks and decodes raw, which is exactly one frame.
func (f *frame) parse(raw []byte, seed uint32, partitions int) error {
	if checksum(raw, seed) != le.Uint32(raw[4:]) {
		return errChecksum
	}
	return f.decode(raw, partitions)
}

// decode decodes raw, whose checksum is known to be right.
func (f *frame) decode(raw []byte, partitions int) error {
	f.raw, f.stamp, f.kind = raw, messages.Micros(le.Uint64(raw[8:])), messages.FrameKind(raw[16])
	keyLen, blocks := int(raw[17]), int(le.Uint16(raw[18:]))
	rest := raw[frameFixed:]
	f.key, f.hash = nil, messages.BodyHash{}
	if keyLen > 0 {
		if keyLen > messages.MaxKeyBytes || len(rest) < keyLen+len(f.hash) {
			return errShape
		}
		f.key = rest[:keyLen:keyLen]
		copy(f.hash[:], rest[keyLen:])
		rest = rest[keyLen+len(f.hash):]
	}
	if blocks == 0 || len(rest) < blocks*blockEntry || f.kind < messages.FrameEvents || f.kind > messages.FrameControl {
		return errShape
	}
	f.table, f.data = rest[:blocks*blockEntry], rest[blocks*blockEntry:]
	return f.checkTable(partitions)
}

func (f *frame) checkTable(partitions int) error {
	last, sum := -1, uint64(0)
	for t := f.table; len(t) > 0; t = t[blockEntry:] {
		p := int(le.Uint32(t))
		if p <= last || p >= partitions {
			return errShape
		}
		last = p
		sum += uint64(le.Uint32(t[16:]))
	}
	if sum != uint64(len(f.data)) {
		return errShape
	}
	return nil
}

// block is one block of a decoded frame.
type block struct {
	partition messages.Partition
	records   uint32
	offset    messages.Offset
	data      []byte
}

// end is the offset behind the block.
func (b *block) end() messages.Offset { return b.offset + max(1, messages.Offset(b.records)) }

func (f *frame) blocks() iter.Seq[block] {
	return func(yield func(block) bool) {
		data := f.data
		for t := f.table; len(t) > 0; t = t[blockEntry:] {
			n := le.Uint32(t[16:])
			b := block{
				partition: messages.Partition(le.Uint32(t)),
				records:   le.Uint32(t[4:]),
				offset:    messages.Offset(le.Uint64(t[8:])),
				data:      data[:n:n],
			}
			data = data[n:]
			if !yield(b) {
				return
			}
		}
	}
}

// follow moves next behind the frame, or leaves it as it is and returns errGap
// if the frame's blocks do not begin there.
func (f *frame) follow(next []messages.Offset) error {
	for b := range f.blocks() {
		if b.offset != next[b.partition] {
			return errGap
		}
	}
	for b := range f.blocks() {
		next[b.partition] = b.end()
	}
	return nil
}
