package window

import (
	"encoding/binary"
	"errors"
	"io"
)

// A saved part is blocks: how many bytes follow, 4 bytes, little end first, and
// those. A record stands in one block. So parts are written and read with little
// memory, however large they are.

const (
	blockHead  = 4
	blockUsual = 64 << 10 // a block ends with the record that reaches so many bytes
	blockMost  = 1 << 20  // no block is longer
)

// errMalformed: what is read is nothing that Save has written.
var errMalformed = errors.New("malformed")

// blockWriter writes a part.
type blockWriter struct {
	w   io.Writer
	b   []byte // the block being made, its head first
	err error
}

func newBlockWriter(w io.Writer) *blockWriter {
	return &blockWriter{w: w, b: make([]byte, blockHead, blockUsual+blockUsual/4)}
}

func (w *blockWriter) uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *blockWriter) varint(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *blockWriter) byte(v byte)      { w.b = append(w.b, v) }
func (w *blockWriter) u32(v uint32)     { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *blockWriter) u64(v uint64)     { w.b = binary.LittleEndian.AppendUint64(w.b, v) }

func (w *blockWriter) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

// bytes writes a length and so many bytes.
func (w *blockWriter) bytes(b []byte) {
	w.uvarint(uint64(len(b)))
	w.b = append(w.b, b...)
}

// end ends a record.
func (w *blockWriter) end() {
	if len(w.b) >= blockUsual {
		w.flush()
	}
}

// flush ends a block.
func (w *blockWriter) flush() {
	if n := len(w.b) - blockHead; n > 0 && w.err == nil {
		binary.LittleEndian.PutUint32(w.b, uint32(n))
		_, w.err = w.w.Write(w.b)
	}
	w.b = w.b[:blockHead]
}

// put writes a block of its own.
func (w *blockWriter) put(b []byte) error {
	w.flush()
	w.b = append(w.b, b...)
	w.flush()
	return w.err
}

// blockReader reads a part. After an error all it reads is 0.
type blockReader struct {
	r    io.Reader
	buf  []byte
	b    []byte // what is left of the block at hand
	done bool   // the part has ended
	err  error
}

// fail notes that the part is malformed.
func (r *blockReader) fail() {
	if r.err == nil {
		r.err = errMalformed
	}
	r.b = nil
}

// must fails unless ok, and tells whether nothing has failed so far.
func (r *blockReader) must(ok bool) bool {
	if !ok {
		r.fail()
	}
	return r.err == nil
}

// more tells whether there is another record.
func (r *blockReader) more() bool {
	if len(r.b) == 0 {
		r.next()
	}
	return r.err == nil && len(r.b) > 0
}

// next reads the next block, if there is one.
func (r *blockReader) next() {
	if r.err != nil || r.done {
		return
	}
	var head [blockHead]byte
	if _, err := io.ReadFull(r.r, head[:]); err == io.EOF {
		r.done = true
		return
	} else if err != nil {
		r.err = err
		return
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > blockMost {
		r.fail()
		return
	}
	if int(n) > cap(r.buf) {
		r.buf = make([]byte, n)
	}
	r.b = r.buf[:n]
	if _, err := io.ReadFull(r.r, r.b); err != nil {
		r.b, r.err = nil, err
	}
}

// get is the next block.
func (r *blockReader) get() ([]byte, error) {
	if len(r.b) > 0 || !r.more() {
		r.fail()
		return nil, r.err
	}
	b := r.b
	r.b = nil
	return b, nil
}

// end is the error, if there was one, or if the part has not ended.
func (r *blockReader) end() error {
	r.must(!r.more())
	return r.err
}

func (r *blockReader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *blockReader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// most is a number that must not exceed most.
func (r *blockReader) most(most uint64) uint64 {
	v := r.uvarint()
	if v > most {
		r.fail()
		return 0
	}
	return v
}

// bytes is the next n bytes, valid until the block is left; nil: there are not so
// many.
func (r *blockReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *blockReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *blockReader) bool() bool {
	b := r.byte()
	r.must(b <= 1)
	return b == 1
}

func (r *blockReader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *blockReader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}
