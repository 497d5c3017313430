package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// FuzzBatch: whatever the bytes, the decoder ends, stays within them and within
// the batch's offsets; and agrees with another library's where that one can read
// the records.
func FuzzBatch(f *testing.F) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		e, err := newBatchEncoder(codec)
		if err != nil {
			f.Fatal(err)
		}
		e.reset()
		e.add(5, nil, []byte("value"), nil)
		e.add(7, []byte("key"), nil, []messages.Header{{Key: []byte("h"), Value: []byte("v")}, {Key: nil, Value: nil}})
		e.add(4, []byte{}, []byte{}, nil)
		b, err := e.seal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b))
		f.Add(append(bytes.Clone(b), b...))
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Most changes break the checksum, which is none of the decoder's business.
		if len(b) >= batchFixed {
			if size := int(int32(be.Uint32(b[atBatchLength:]))); size >= batchFixed-12 && size <= len(b)-12 {
				be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:12+size], castagnoli))
			}
		}
		h, rest, err := nextBatch(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) || h.next <= h.base {
			t.Fatalf("%d bytes behind %d, offsets %d to %d", len(rest), len(b), h.base, h.next)
		}
		records := h.records
		if h.codec != 0 {
			if len(h.records) > 1<<10 {
				return // it may be gigabytes
			}
			if records, err = h.inflate(nil); err != nil {
				return
			}
		}
		var r record
		it := recordIter{head: &h, b: records, left: h.count}
		n := int32(0)
		for left := records; it.next(&r); n++ {
			if r.offset < h.base || r.offset >= h.next {
				t.Fatalf("offset %d: want %d to %d", r.offset, h.base, h.next)
			}
			var other kmsg.Record
			size, w := binary.Varint(left)
			if err := other.ReadFrom(left[:w+int(size)]); err != nil {
				t.Fatalf("record %d: %v", n, err)
			}
			left = left[w+int(size):]
			if !bytes.Equal(other.Key, r.key) || !bytes.Equal(other.Value, r.value) || len(other.Headers) != len(r.headers) || (other.Value == nil) != (r.value == nil) {
				t.Fatalf("record %d: %q=%q %v: want %q=%q %v", n, r.key, r.value, r.headers, other.Key, other.Value, other.Headers)
			}
			if !h.appendTime && r.time != h.baseTime+other.TimestampDelta64 {
				t.Fatalf("record %d: time %d", n, r.time)
			}
		}
		if !it.bad && n != h.count {
			t.Fatalf("%d records of %d, and none is bad", n, h.count)
		}
	})
}

// FuzzAnswers: no answer of a broker makes its reader panic, or believe in more
// than there is.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, false)
	f.Add(bytes.Repeat([]byte{1}, 200), true)
	f.Add(bytes.Repeat([]byte{2, 0, 0}, 100), true)
	f.Fuzz(func(_ *testing.T, b []byte, flexible bool) {
		for _, version := range []int16{8, 10, 11, 13} {
			x := &exchange{version: version, flexible: flexible, answer: b}
			_, _ = parseMetadata(x)
			_, _ = parseFetch(x, 0)
			_ = parseOffsets(x, make([]int64, 4))
		}
	})
}

// TestExchangeOfAnAnswerThatIsNone: another protocol, another request's answer,
// or less than was said.
func TestExchangeOfAnAnswerThatIsNone(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":             "",
		"http":                "HTTP/1.1 400 Bad Request\r\n\r\n",
		"negative":            "\xff\xff\xff\xff\x00\x00\x00\x05",
		"another's":           "\x00\x00\x00\x04\x00\x00\x00\x06",
		"cut off in its head": "\x00\x00\x00",
		"cut off":             "\x00\x00\x00\x08\x00\x00\x00\x05ab",
	} {
		x := &exchange{correlation: 5}
		if _, err := x.RawExchange(&answered{in: bytes.NewReader([]byte(answer))}); err == nil {
			t.Errorf("%s: taken for an answer", name)
		}
	}
	x := &exchange{correlation: 5}
	if m, err := x.RawExchange(&answered{in: bytes.NewReader([]byte("\x00\x00\x00\x06\x00\x00\x00\x05ab"))}); err != nil || m != protocol.Message(x) || string(x.answer) != "ab" {
		t.Errorf("%v, %q", err, x.answer)
	}
}

// answered is a connection with what it answers.
type answered struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (a *answered) Read(b []byte) (int, error)  { return a.in.Read(b) }
func (a *answered) Write(b []byte) (int, error) { return a.out.Write(b) }

// manyRecords is a batch of n records of about 200 bytes.
func manyRecords(tb testing.TB, codec string, n int) []byte {
	tb.Helper()
	e, err := newBatchEncoder(codec)
	if err != nil {
		tb.Fatal(err)
	}
	e.reset()
	for i := range n {
		e.add(int64(i), fmt.Append(nil, "topic", i%97), fmt.Appendf(nil,
			`{"topic":"topic%d","user_id":"user-%d","timestamp":17000000%05d,"category":"sport","region":"IN","watch_time_sec":%d,"device":"phone","padding":"%016x"}`,
			i%97, i*7919, i, i%600, uint64(i)*0x9e3779b97f4a7c15), nil)
	}
	b, err := e.seal()
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Clone(b)
}

// TestReadingAllocatesNothingPerRecord, only for each Read: its data, its blocks.
func TestReadingAllocatesNothingPerRecord(t *testing.T) {
	rig := newCursorRig(t)
	rig.batches = manyRecords(t, "lz4", 5000)
	be.PutUint16(rig.batches[atAttributes:], be.Uint16(rig.batches[atAttributes:])|8)
	be.PutUint32(rig.batches[atCRC:], crc32.Checksum(rig.batches[atAttributes:], castagnoli))
	b := &messages.Batch{MaxBytes: 64 << 20}
	c := rig.log.newCursor(0, 0)
	got := testing.AllocsPerRun(20, func() {
		c.drop()
		c.seek(0)
		c.load(&fetched{records: rig.batches})
		b.Blocks, b.Next = b.Blocks[:0], 0
		if err := c.fill(b); err != nil || b.Records() != 5000 {
			t.Fatalf("%v, %d records", err, b.Records())
		}
	})
	if got > 40 {
		t.Errorf("%v allocations for 5000 records", got)
	}
}

func BenchmarkBatch(b *testing.B) {
	const n = 5000
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		batch := manyRecords(b, codec, n)
		b.Run("codec="+codec, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(batch)))
			var plain []byte
			var r record
			for b.Loop() {
				h, _, err := nextBatch(batch)
				if err != nil {
					b.Fatal(err)
				}
				records := h.records
				if h.codec != 0 {
					if plain, err = h.inflate(plain[:0]); err != nil {
						b.Fatal(err)
					}
					records = plain
				}
				it := recordIter{head: &h, b: records, left: h.count}
				for it.next(&r) {
				}
				if it.bad || it.left > 0 {
					b.Fatal("not all were read")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

// TestWaitingFetchesHoldNoMemory: 64 partitions at rest would hold 64 buffers of
// a fetch's size for ever.
func TestWaitingFetchesHoldNoMemory(t *testing.T) {
	(&fetched{buffer: make([]byte, 1<<20)}).free()
	x := &exchange{correlation: 5, room: answerRoom}
	if _, err := x.RawExchange(&answered{in: bytes.NewReader([]byte("\x00\x00\x00\x06\x00\x00\x00\x05ab"))}); err != nil {
		t.Fatal(err)
	}
	if cap(x.answer) > 100 {
		t.Errorf("an answer of 2 bytes holds %d", cap(x.answer))
	}
	(&fetched{buffer: make([]byte, maxKept+1)}).free()
	for range 10 {
		if n := cap(answerRoom(1 << 20)); n > maxKept {
			t.Errorf("a buffer of %d bytes is kept", n)
		}
	}
}
