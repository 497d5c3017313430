package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// Requests that are written and read here, in the versions spoken. kafka-go has
// older ones, which know no topic ids, and decodes records as it reads.
const (
	apiFetch       = 1
	apiListOffsets = 2
	apiMetadata    = 3
	apiVersions    = 18
)

// maxAnswer bounds the answer of a broker. One batch of records comes whole,
// whatever the fetch asked for.
const maxAnswer = 512 << 20

// exchange is one request to a broker and its answer, as bytes. kafka-go's
// transport finds the broker and a connection for it, on which it is alone.
//
// Whoever gives up waiting leaves it to the connection: then neither it nor its
// buffer may be used again.
type exchange struct {
	api, version int16
	flexible     bool // compact lengths, and tags
	correlation  int32
	client       string
	body         []byte
	// wait is how long the broker was asked to wait, stall how long it may be silent
	// beyond that, and in the middle of an answer.
	wait, stall time.Duration
	// route says which broker; nil: any.
	route func(protocol.Cluster) (protocol.Broker, error)

	// answer is what came behind the header, in a buffer of room, if there is one.
	answer []byte
	room   func(n int) []byte
}

var (
	_ protocol.RawExchanger  = (*exchange)(nil)
	_ protocol.BrokerMessage = (*exchange)(nil)
)

func (x *exchange) ApiKey() protocol.ApiKey { return protocol.ApiKey(x.api) }

func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

func (x *exchange) Broker(c protocol.Cluster) (protocol.Broker, error) {
	if x.route == nil {
		return protocol.Broker{ID: -1}, nil
	}
	return x.route(c)
}

// RawExchange writes the request and reads the answer. An error leaves the
// connection unusable, and kafka-go closes it.
func (x *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(x.request()); err != nil {
		return nil, fmt.Errorf("send the request: %w", err)
	}
	x.allow(rw, x.wait+x.stall)
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, fmt.Errorf("await the answer: %w", unexpected(err))
	}
	size, id := int32(binary.BigEndian.Uint32(head[:])), int32(binary.BigEndian.Uint32(head[4:]))
	switch {
	case size < 4 || size > maxAnswer:
		return nil, fmt.Errorf("the broker's answer of %d bytes: want 4 to %d", size, maxAnswer)
	case id != x.correlation:
		return nil, fmt.Errorf("the broker answered request %d instead of %d", id, x.correlation)
	}
	n := int(size) - 4
	if x.room != nil {
		// Only now: requests that wait for something to come have none.
		x.answer = x.room(n)
	} else {
		x.answer = make([]byte, n)
	}
	for rest := x.answer; len(rest) > 0; {
		// A slow broker is not a silent one.
		x.allow(rw, x.stall)
		part := rest[:min(len(rest), readPart)]
		if _, err := io.ReadFull(rw, part); err != nil {
			return nil, fmt.Errorf("read the answer: %w", unexpected(err))
		}
		rest = rest[len(part):]
	}
	return x, nil
}

// readPart is what a broker must send within stall.
const readPart = 64 << 10

// allow gives what is read next a time. kafka-go takes it back at the end.
func (x *exchange) allow(rw io.ReadWriter, d time.Duration) {
	if c, ok := rw.(interface{ SetReadDeadline(time.Time) error }); ok && x.stall > 0 {
		_ = c.SetReadDeadline(time.Now().Add(d)) // if it fails, so does the read
	}
}

func (x *exchange) request() []byte {
	w := wireWriter{b: make([]byte, 4, 64+len(x.client)+len(x.body))}
	w.int16(x.api)
	w.int16(x.version)
	w.int32(x.correlation)
	w.str(x.client) // of two bytes' length in flexible headers too
	w.flexible = x.flexible
	w.tags()
	w.b = append(w.b, x.body...)
	binary.BigEndian.PutUint32(w.b, uint32(len(w.b)-4))
	return w.b
}

// reader reads the answer.
func (x *exchange) reader() wireReader {
	r := wireReader{b: x.answer, flexible: x.flexible}
	r.tags() // of the header
	return r
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wireWriter writes what Kafka's protocol consists of.
type wireWriter struct {
	b        []byte
	flexible bool
}

func (w *wireWriter) bool(v bool) {
	if v {
		w.int8(1)
	} else {
		w.int8(0)
	}
}
func (w *wireWriter) int8(v int8)     { w.b = append(w.b, byte(v)) }
func (w *wireWriter) int16(v int16)   { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *wireWriter) int32(v int32)   { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *wireWriter) int64(v int64)   { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }
func (w *wireWriter) uuid(v [16]byte) { w.b = append(w.b, v[:]...) }

func (w *wireWriter) str(s string) {
	if w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(len(s))+1)
	} else {
		w.int16(int16(len(s)))
	}
	w.b = append(w.b, s...)
}

// array begins an array of n elements.
func (w *wireWriter) array(n int) {
	if w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(n)+1)
	} else {
		w.int32(int32(n))
	}
}

// tags ends a structure: there are none.
func (w *wireWriter) tags() {
	if w.flexible {
		w.b = append(w.b, 0)
	}
}

// wireReader reads the same; after the first wrong byte it is bad, and reads
// zeros.
type wireReader struct {
	b        []byte
	flexible bool
	bad      bool
}

func (r *wireReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *wireReader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *wireReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *wireReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *wireReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *wireReader) uuid() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

func (r *wireReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length is one of a string, bytes or array that may be null.
func (r *wireReader) length(plain func() int) int {
	if !r.flexible {
		return max(0, plain())
	}
	v := r.uvarint()
	if v > uint64(len(r.b))+1 { // no element is smaller than a byte
		r.bad, r.b = true, nil
		return 0
	}
	return max(0, int(v)-1)
}

func (r *wireReader) str() string {
	return string(r.take(r.length(func() int { return int(r.int16()) })))
}

func (r *wireReader) bytes() []byte {
	return r.take(r.length(func() int { return int(r.int32()) }))
}

// array begins an array and tells its elements.
func (r *wireReader) array() int {
	n := r.length(func() int { return int(r.int32()) })
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

func (r *wireReader) tags() {
	if !r.flexible {
		return
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.uvarint() // which
		size := r.uvarint()
		r.take(int(min(size, maxAnswer)))
	}
}
