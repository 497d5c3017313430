package kafka

import (
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// cursorRig is a log without brokers: batches are put before a cursor by hand.
type cursorRig struct {
	t   *testing.T
	log *Log
	now messages.Micros
	// refused is what was put aside: offset, index and reason.
	base    int64 // of the next batch
	batches []byte
	aborted []abortedTransaction
}

func newCursorRig(t *testing.T) *cursorRig {
	t.Helper()
	rig := &cursorRig{t: t, now: messages.Micros(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())}
	cfg := DefaultConfig()
	cfg.Topic, cfg.FetchBytes = readTopic, 1<<20
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Decoder = func() Decoder { return lineDecoder{} }
	cfg.Now = func() messages.Micros { return rig.now }
	l := &Log{cfg: cfg, id: messages.LogIdentity{ID: messages.LogID{7}, Partitions: 8, Routing: messages.RoutingMurmur2, Settings: messages.DefaultSettings()}}
	l.reading.routes = messages.NewRoutes(&l.id)
	var err error
	if l.dead, err = newDeadLetters(&l.cfg, nil); err != nil {
		t.Fatal(err)
	}
	rig.log = l
	return rig
}

// handMade is one record of a batch made by hand.
type handMade struct {
	key, value []byte
	headers    []messages.Header
}

func value(s string) handMade { return handMade{value: []byte(s)} }

// batch is a record batch; change may change it before its checksum is taken.
func (rig *cursorRig) batch(codec string, millis int64, change func(b []byte), records ...handMade) []byte {
	rig.t.Helper()
	e, err := newBatchEncoder(codec)
	if err != nil {
		rig.t.Fatal(err)
	}
	e.reset()
	for _, r := range records {
		e.add(millis, r.key, r.value, r.headers)
	}
	b, err := e.seal()
	if err != nil {
		rig.t.Fatal(err)
	}
	be.PutUint64(b, uint64(rig.base))
	rig.base += int64(len(records))
	if change != nil {
		change(b)
	}
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

func (rig *cursorRig) add(codec string, millis int64, change func(b []byte), records ...handMade) {
	rig.t.Helper()
	rig.batches = append(rig.batches, rig.batch(codec, millis, change, records...)...)
}

func setAttributes(bits uint16) func(b []byte) {
	return func(b []byte) { be.PutUint16(b[atAttributes:], be.Uint16(b[atAttributes:])|bits) }
}

// read hands everything out, in reads of maxBytes.
func (rig *cursorRig) read(p messages.Partition, from messages.Offset, maxBytes int) *haul {
	rig.t.Helper()
	c := rig.log.newCursor(p, from)
	c.load(&fetched{records: slices.Clone(rig.batches), aborted: rig.aborted})
	h := &haul{next: from}
	for b := (&messages.Batch{MaxBytes: maxBytes}); ; {
		b.Blocks, b.Next = b.Blocks[:0], h.next
		if err := c.fill(b); err != nil {
			rig.t.Fatal(err)
		}
		if len(b.Blocks) == 0 {
			if c.at != h.next {
				rig.t.Errorf("it goes on at %d behind blocks up to %d", c.at, h.next)
			}
			return h
		}
		h.add(rig.t, b)
	}
}

// aside is what was put aside so far.
func (rig *cursorRig) aside() (list []string) {
	for _, at := range rig.log.dead.queue {
		list = append(list, fmt.Sprintf("%d/%d %s", at.offset, at.index, at.reason))
	}
	rig.log.dead.queue = nil
	return list
}

func (rig *cursorRig) wantAside(want ...string) {
	rig.t.Helper()
	got := rig.aside()
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.HasPrefix(got[i], want[i])
	}
	if !same {
		rig.t.Errorf("put aside:\n%q\nwant them to begin with\n%q", got, want)
	}
}

const milli = int64(1_767_323_045_000) // the rig's now

// TestForeignRecordsOfOneMomentAreOneBlock: whose events and refusals are those
// of all of them.
func TestForeignRecordsOfOneMomentAreOneBlock(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("lz4", 5, setAttributes(8), value("a\nb"), value("!bad\nc"), value("!worse"), value("d"))
	rig.add("none", 5, setAttributes(8), value("e"))
	rig.add("none", 6, setAttributes(8), value("f"))
	h := rig.read(0, 0, 0)
	if !slices.Equal(h.topics(), []string{"a", "b", "c", "d", "e", "f"}) || h.refused != 2 || len(h.blocks) != 2 {
		t.Errorf("read %v and %d refused, in %d blocks", h.topics(), h.refused, len(h.blocks))
	}
	if b := h.blocks[0]; b.Records != 5 || b.Refused != 2 || b.Stamp != 5*messages.Millisecond || b.Offset != 0 || b.End != 5 {
		t.Errorf("the first block: %+v", b)
	}
	rig.wantAside("1/0 !bad", "2/0 !worse")
}

// TestLogAppendTimeIsTheArrival, whatever the records say.
func TestLogAppendTimeIsTheArrival(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", milli+1e12, func(b []byte) {
		setAttributes(8)(b)
		be.PutUint64(b[35:], uint64(milli)) // as the broker does
	}, value("a"))
	if h := rig.read(0, 0, 0); len(h.events) != 1 || h.events[0].stamp != messages.Micros(milli*1000) {
		t.Errorf("read %v", h.events)
	}
}

// TestRecordsAheadOfTheReaderAreRefused in topics whose stamps are the
// producers': and do not move the partition's clock. Their neighbours count.
func TestRecordsAheadOfTheReaderAreRefused(t *testing.T) {
	rig := newCursorRig(t)
	minutes := int64(60_000)
	rig.add("none", milli, nil, value("now"))
	rig.add("none", milli+5*minutes, nil, value("just"))
	rig.add("none", milli+5*minutes+1, nil, value("ahead"))
	rig.add("none", milli-1000*minutes, nil, value("late"))
	rig.add("none", -1, nil, value("never"))
	rig.add("none", 1<<60, nil, value("absurd"))
	rig.add("none", milli, nil, value("again"))
	h := rig.read(0, 0, 0)
	if !slices.Equal(h.topics(), []string{"now", "just", "late", "again"}) || h.refused != 3 {
		t.Errorf("read %v and %d refused", h.topics(), h.refused)
	}
	for i := range h.blocks {
		if h.blocks[i].Stamp > rig.now+5*messages.Minute {
			t.Errorf("block %d came at %d", i, h.blocks[i].Stamp)
		}
	}
	rig.wantAside("2/0 the record is stamped 2026-01-02T03:09:05Z, 300 s ahead", "4/0 the record's timestamp -1 is no time", "5/0 the record's timestamp")
}

// TestSettingsInForceJudge: the batch's, not the first ones of the log.
func TestSettingsInForceJudge(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", milli+2_000, nil, value("ahead"))
	c := rig.log.newCursor(0, 0)
	c.load(&fetched{records: rig.batches})
	s := messages.DefaultSettings()
	s.MaxAhead = time.Second
	b := &messages.Batch{Settings: s}
	if err := c.fill(b); err != nil || b.Blocks[0].Refused != 1 {
		t.Errorf("%v, %+v", err, b.Blocks)
	}
}

// TestOffsetsThatHoldNothing: compacted records, control records and aborted ones
// are spanned by the next block, or by a gap.
func TestOffsetsThatHoldNothing(t *testing.T) {
	rig := newCursorRig(t)
	producer := func(id uint64, attributes uint16) func(b []byte) {
		return func(b []byte) {
			setAttributes(8 | attributes)(b)
			be.PutUint64(b[43:], id)
		}
	}
	marker := func(kind byte) handMade { return handMade{key: []byte{0, 0, 0, kind}, value: []byte{0, 0, 0, 0, 0, 0}} }
	const transactional, control = 16, 32
	rig.base = 3
	rig.add("none", 1, setAttributes(8), value("a"))                       // 3, behind a gap
	rig.add("gzip", 1, producer(9, transactional), value("x"), value("x")) // 4, 5: aborted
	rig.add("none", 1, setAttributes(8), value("b"))                       // 6
	rig.add("none", 1, producer(8, transactional), value("c"))             // 7: another producer's
	rig.add("none", 1, producer(9, transactional|control), marker(0))      // 8: abort
	rig.add("none", 1, producer(9, transactional), value("d"))             // 9: its next one, committed
	rig.add("none", 1, producer(9, transactional|control), marker(1))      // 10
	rig.add("none", 1, func(b []byte) {                                    // 11 … 19: nothing is left of it
		setAttributes(8)(b)
		be.PutUint32(b[23:], 8)
		be.PutUint32(b[atRecordCount:], 0)
	}, value("gone"))
	rig.aborted = []abortedTransaction{{producer: 9, first: 4}}
	h := rig.read(0, 0, 0)
	if !slices.Equal(h.topics(), []string{"a", "b", "c", "d"}) || h.next != 20 || h.gaps != 1 {
		t.Errorf("read %v up to %d with %d gaps", h.topics(), h.next, h.gaps)
	}
	for from := messages.Offset(0); from < 20; from++ {
		for _, maxBytes := range []int{1, 0} {
			left := h.topics()[min(4, len(slices.DeleteFunc([]messages.Offset{3, 6, 7, 9}, func(o messages.Offset) bool { return o >= from }))):]
			if got := rig.read(0, from, maxBytes); !slices.Equal(got.topics(), left) || got.next != 20 {
				t.Errorf("from %d: read %v up to %d: want %v", from, got.topics(), got.next, left)
			}
		}
	}
	rig.wantAside()
}

// TestPoisonIsPutAside with its reason, and never holds up its neighbours.
func TestPoisonIsPutAside(t *testing.T) {
	own := func(h blockHeader, data string) handMade {
		return handMade{value: []byte(data), headers: []messages.Header{{Key: []byte("crest"), Value: h.appendTo(nil)}}}
	}
	sent := messages.Sent{Writer: messages.WriterID{1}, Sequence: 1}
	record := messages.Record{Topic: []byte("t"), Count: 1}
	good := string(record.AppendTo(nil))
	header := func(h blockHeader, change func(b []byte) []byte) handMade {
		r := own(h, "")
		r.headers[0].Value = change(r.headers[0].Value)
		return r
	}
	events := blockHeader{kind: messages.FrameEvents, sent: sent, records: 1}
	event := events
	event.event, event.record = true, []byte("nonsense")
	for name, c := range map[string]struct {
		codec  string
		change func(b []byte)
		poison handMade
		aside  string
	}{
		"refused by the decoder":      {poison: value("!no"), aside: "2/0 !no"},
		"a header of nothing":         {poison: header(events, func([]byte) []byte { return nil }), aside: "2/0 malformed crest header"},
		"a header cut off":            {poison: header(events, func(b []byte) []byte { return b[:len(b)-1] }), aside: "2/0 malformed crest header"},
		"a header with more":          {poison: header(events, func(b []byte) []byte { return append(b, 1) }), aside: "2/0 malformed crest header"},
		"a header of another version": {poison: header(events, func(b []byte) []byte { b[0] = 9; return b }), aside: "2/0 crest header of a version that this crest does not know"},
		"a block of no kind":          {poison: own(blockHeader{kind: 4, sent: sent}, ""), aside: "2/0 malformed crest header"},
		"a block of garbage":          {poison: own(events, "garbage"), aside: "2/0 malformed record"},
		"a block of too few records":  {poison: own(blockHeader{kind: messages.FrameEvents, sent: sent, records: 3}, good), aside: "2/0 its data does not have as many records"},
		"a block of too many records": {poison: own(events, good+good), aside: "2/0 its data does not have as many records"},
		"settings that cannot be":     {poison: own(blockHeader{kind: messages.FrameControl, sent: sent}, "x"), aside: "2/0 control record"},
		"a tick with data":            {poison: own(blockHeader{kind: messages.FrameTick, sent: sent}, good), aside: "2/0 its data does not have as many records"},
		"an event that is none":       {poison: own(event, "{}"), aside: "2/0 malformed record"},
		"compressed wrong": {codec: "zstd", change: func(b []byte) { b[batchFixed] ^= 0xff }, poison: value("x"),
			aside: "2/0 the record batch has records that cannot be read: decompress with zstd"},
		"compressed with nothing known": {change: setAttributes(7), poison: value("x"),
			aside: "2/0 the record batch has records that cannot be read: compression 7 is unknown"},
		"a length that lies": {change: func(b []byte) { b[batchFixed] = 0x7e }, poison: value("x"),
			aside: "2/0 the record batch has records that cannot be read"},
		"a count that lies": {change: func(b []byte) { be.PutUint32(b[atRecordCount:], 5) }, poison: value("!x"), aside: "2/0 !x"},
		"an offset that lies": {change: func(b []byte) { b[batchFixed+3] = 0x7e }, poison: value("x"),
			aside: "2/0 the record batch has records that cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			rig := newCursorRig(t)
			rig.add("none", 1, setAttributes(8), value("a"), value("b"))
			if c.codec == "" {
				c.codec = "none"
			}
			rig.add(c.codec, 1, func(b []byte) {
				setAttributes(8)(b)
				if c.change != nil {
					c.change(b)
				}
			}, c.poison)
			for end, want := range [][]string{3: {"a", "b"}, 4: {"a", "b", "c"}} {
				if want == nil {
					continue
				}
				if end == 4 {
					rig.add("none", 1, setAttributes(8), value("c"))
				}
				h := rig.read(0, 0, 0)
				if !slices.Equal(h.topics(), want) || int(h.next) != end || h.refused != 1 {
					t.Errorf("read %v up to %d and %d refused", h.topics(), h.next, h.refused)
				}
				rig.wantAside(c.aside)
			}
		})
	}
}

// TestARefusedRecordAmongOthersOfItsBatch: those before and behind it count.
func TestARefusedRecordAmongOthersOfItsBatch(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("snappy", 1, setAttributes(8), value("a"), handMade{value: []byte("x"), headers: []messages.Header{{Key: []byte("crest"), Value: []byte("x")}}}, value("b"))
	h := rig.read(0, 0, 0)
	if !slices.Equal(h.topics(), []string{"a", "b"}) || h.refused != 1 {
		t.Errorf("read %v and %d refused", h.topics(), h.refused)
	}
	rig.wantAside("1/0 malformed crest header")
}

// TestOldBatchesAreAnError that says so: skipping them would leave events out.
func TestOldBatchesAreAnError(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", 1, nil, value("a"))
	rig.batches[atMagic] = 1
	c := rig.log.newCursor(0, 0)
	c.load(&fetched{records: rig.batches})
	isErr(t, c.fill(&messages.Batch{}), errOld, "offset 0")
}

// TestABatchThatDoesNotFitTheFetch: more is asked for until it does, but not for
// ever; and less again when it is over.
func TestABatchThatDoesNotFitTheFetch(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", 1, nil, value(strings.Repeat("x", 5000)))
	rig.log.cfg.FetchBytes = 1000
	c := rig.log.newCursor(0, 0)
	b := &messages.Batch{}
	tries := 0
	for len(b.Blocks) == 0 {
		if tries++; tries > 4 {
			t.Fatalf("it asks for %d bytes", c.want)
		}
		c.drop()
		c.load(&fetched{records: slices.Clone(rig.batches[:min(c.want, len(rig.batches))])})
		if err := c.fill(b); err != nil {
			t.Fatal(err)
		}
	}
	if b.Records() != 1 || c.want != 1000 {
		t.Errorf("%d records, and then %d bytes", b.Records(), c.want)
	}
	c.seek(0)
	for b.Blocks = nil; ; {
		c.drop()
		c.load(&fetched{records: slices.Clone(rig.batches[:100])})
		if err := c.fill(b); err != nil {
			isErr(t, err, errCut, "offset 0")
			return
		}
		if c.want > maxAnswer {
			t.Fatalf("it asks for %d bytes", c.want)
		}
	}
}

// TestABatchThatIsABomb is put aside: a few kilobytes that say they are hundreds
// of megabytes.
func TestABatchThatIsABomb(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", 1, setAttributes(8), value("a"))
	rig.add("zstd", 1, setAttributes(8), handMade{value: make([]byte, maxInflated)})
	rig.add("none", 1, setAttributes(8), value("b"))
	if len(rig.batches) > 100_000 {
		t.Fatalf("the bomb has %d bytes", len(rig.batches))
	}
	if h := rig.read(0, 0, 0); !slices.Equal(h.topics(), []string{"a", "b"}) || h.refused != 1 || h.next != 3 {
		t.Errorf("read %v up to %d, and %d refused", h.topics(), h.next, h.refused)
	}
	rig.wantAside("1/0 the record batch has records that cannot be read: they are more than")
	if b := inflates.Get().(*[]byte); cap(*b) > maxKept {
		t.Errorf("a buffer of %d bytes is kept", cap(*b))
	}
}
