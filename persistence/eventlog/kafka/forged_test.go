package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/crestdb/crest/messages"
)

// Whoever may write to the topic can write crest's header, too. These are the
// records that somebody wrote by hand, and what they must not do.

// forge is a record that says it is a gateway's: a block of one event, or one
// event of many.
func forge(r *messages.Record, event bool) handMade {
	h := blockHeader{kind: messages.FrameEvents, records: 1, sent: messages.Sent{Stamp: 1, Sequence: 1, Writer: messages.WriterID{9}}}
	m := handMade{value: r.AppendTo(nil)}
	if event {
		h.event, h.record = true, m.value
		m.value = []byte("{}")
	}
	m.headers = []messages.Header{{Key: headerName, Value: h.appendTo(nil)}}
	return m
}

func TestForgedRecordsArePutAsideAndTheirNeighboursCount(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 700_000)
	for name, r := range map[string]messages.Record{
		"the first time":     {Topic: []byte("x"), Count: 1, HasTime: true, Time: math.MinInt64},
		"a time before 1970": {Topic: []byte("x"), Count: 1, HasTime: true, Time: -5},
		"the last time":      {Topic: []byte("x"), Count: 1, HasTime: true, Time: math.MaxInt64},
		"the highest count":  {Topic: []byte("x"), Count: math.MaxUint64},
		"no topic":           {Count: 1},
		"a long topic":       {Topic: long, Count: 1},
		"a topic of control": {Topic: []byte("x\x00\n"), Count: 1},
		"a topic of no text": {Topic: []byte("x\xff"), Count: 1},
		"a long category":    {Topic: []byte("x"), Category: long, Count: 1},
		"a long user":        {Topic: []byte("x"), User: long, Count: 1},
	} {
		for _, event := range []bool{false, true} {
			rig := newCursorRig(t)
			rig.add("none", milli, nil, value("a"), forge(&r, event), value("b"))
			h := rig.read(0, 0, 0)
			if !slices.Equal(h.topics(), []string{"a", "b"}) || h.refused != 1 || h.next != 3 {
				t.Errorf("%s, event %v: read %.40q and %d refused", name, event, h.topics(), h.refused)
			}
			rig.wantAside("1/0 ")
		}
	}
}

// TestAForgedMomentIsNoArrival: what a gateway has acknowledged is never refused,
// so such a record counts, as of now.
func TestAForgedMomentIsNoArrival(t *testing.T) {
	for _, millis := range []int64{-1, math.MinInt64 / 2, math.MaxInt64 / 3} {
		for _, event := range []bool{false, true} {
			rig := newCursorRig(t)
			rig.add("none", millis, nil, forge(&messages.Record{Topic: []byte("x"), Count: 1}, event))
			if h := rig.read(0, 0, 0); !slices.Equal(h.events, []counted{{"x", rig.now}}) {
				t.Errorf("stamped %d, event %v: read %v", millis, event, h.events)
			}
		}
	}
}

// headerBomb is a batch of one record with n empty headers, which compresses to
// next to nothing.
func headerBomb(t *testing.T, n int) []byte {
	t.Helper()
	rec := []byte{0, 0, 0, 1} // attributes, time, offset, no key
	rec = append(binary.AppendVarint(rec, 1), 'a')
	rec = binary.AppendVarint(rec, int64(n))
	rec = append(rec, make([]byte, 2*n)...)
	e, err := newBatchEncoder("zstd")
	if err != nil {
		t.Fatal(err)
	}
	e.reset()
	e.plain = append(binary.AppendVarint(e.plain, int64(len(rec))), rec...)
	e.count, e.first, e.last = 1, 1, 1
	b, err := e.seal()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

func TestARecordOfManyEmptyHeadersTakesLittleMemory(t *testing.T) {
	const n = 2_000_000
	rig := newCursorRig(t)
	rig.batches, rig.base = headerBomb(t, n), 1
	setAttributes(8)(rig.batches)
	be.PutUint32(rig.batches[atCRC:], crc32.Checksum(rig.batches[atAttributes:], castagnoli))
	rig.add("none", 1, setAttributes(8), value("b"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h := rig.read(0, 0, 0)
	runtime.ReadMemStats(&after)
	if !slices.Equal(h.topics(), []string{"a", "b"}) || h.refused > 0 {
		t.Errorf("read %v and %d refused", h.topics(), h.refused)
	}
	// Its 4 MB are inflated, into a buffer that grows; each header would be 48 bytes more.
	if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

// TestManyRefusedRecordsAreManyReads: in a topic of producers' times each may be
// of another moment, and is a block then. A million of them fit into a megabyte.
func TestManyRefusedRecordsAreManyReads(t *testing.T) {
	const n = 3*mostBlocks + 5
	e, err := newBatchEncoder("zstd")
	if err != nil {
		t.Fatal(err)
	}
	e.reset()
	for i := range int64(n) {
		e.add(1000+i&1, nil, []byte("!"), nil)
	}
	b, err := e.seal()
	if err != nil {
		t.Fatal(err)
	}
	rig := newCursorRig(t)
	c := rig.log.newCursor(0, 0)
	c.load(&fetched{records: bytes.Clone(b)})
	h, reads := &haul{}, 0
	for h.next < n {
		out := &messages.Batch{MaxBytes: 1 << 20, Next: h.next}
		if err := c.fill(out); err != nil {
			t.Fatal(err)
		}
		if len(out.Blocks) > mostBlocks {
			t.Fatalf("a read of %d blocks: want %d at most", len(out.Blocks), mostBlocks)
		}
		h.add(t, out)
		reads++
	}
	if h.refused != n || reads != 4 {
		t.Errorf("%d of %d refused in %d reads: want 4", h.refused, n, reads)
	}
}

// TestAnEndlessPartEndsWithItsBatch, or one Read would go on for as long as there
// are events that say they are of it.
func TestAnEndlessPartEndsWithItsBatch(t *testing.T) {
	const per, batches = 20, 15
	rig := newCursorRig(t)
	rec := (&messages.Record{Topic: []byte("x"), Count: 1, Extra: bytes.Repeat([]byte(" "), 1000)}).AppendTo(nil)
	for i := range batches {
		var list []handMade
		for j := range per {
			h := blockHeader{
				kind: messages.FrameEvents, records: math.MaxUint32, event: true, index: uint32(i*per + j), record: rec,
				sent: messages.Sent{Sequence: 1, Writer: messages.WriterID{1}},
			}
			list = append(list, handMade{value: []byte("{}"), headers: []messages.Header{{Key: headerName, Value: h.appendTo(nil)}}})
		}
		rig.add("zstd", 1, setAttributes(8), list...)
	}
	c := rig.log.newCursor(0, 0)
	c.load(&fetched{records: rig.batches})
	h := &haul{}
	for i := range batches {
		b := &messages.Batch{MaxBytes: 1, Next: h.next}
		if err := c.fill(b); err != nil {
			t.Fatal(err)
		}
		h.add(t, b)
		if want := messages.Offset(per * (i + 1)); h.next != want {
			t.Fatalf("read %d goes up to %d: want %d", i, h.next, want)
		}
	}
	if len(h.events) != per*batches {
		t.Errorf("%d events, want %d", len(h.events), per*batches)
	}
}

// TestLettersOfARecordWithALargeKeyAreNoMoreThanIt: its value is small, but each
// letter would have all of it.
func TestLettersOfARecordWithALargeKeyAreNoMoreThanIt(t *testing.T) {
	rig := newCursorRig(t)
	big := bytes.Repeat([]byte("k"), 500_000)
	v := append(bytes.Repeat([]byte("!\n"), 98), '!')
	rig.add("none", 1, setAttributes(8), handMade{key: big, value: v, headers: []messages.Header{{Key: []byte("h"), Value: big}}})
	if h := rig.read(0, 0, 0); h.refused != 99 {
		t.Fatalf("%d refused", h.refused)
	}
	total := 0
	for i := range rig.log.dead.queue {
		total += rig.log.dead.queue[i].size()
	}
	if most := 2 * len(rig.batches); total > most || len(rig.log.dead.queue) != 99 {
		t.Errorf("a record of %d bytes makes %d letters of %d bytes", len(rig.batches), len(rig.log.dead.queue), total)
	}
	want := make([]string, 99)
	for i := range want {
		want[i] = fmt.Sprintf("0/%d !", i)
	}
	rig.wantAside(want...)
}

// TestARecordOfANewerCrestIsTold once, and loudly: it was acknowledged, and is
// not counted here.
func TestARecordOfANewerCrestIsTold(t *testing.T) {
	rig := newCursorRig(t)
	var told lines
	rig.log.cfg.Logger = told.logger()
	m := forge(&messages.Record{Topic: []byte("x"), Count: 1}, false)
	m.headers[0].Value[0] = headerVersion + 1
	rig.add("none", milli, nil, value("a"), m, value("b"), m)
	h := rig.read(3, 0, 0)
	if !slices.Equal(h.topics(), []string{"a", "b"}) || h.refused != 2 {
		t.Errorf("read %v and %d refused", h.topics(), h.refused)
	}
	rig.wantAside("1/0 ", "3/0 ")
	if n := told.count("level=ERROR"); n != 1 || told.count("partition=3 offset=1") != 1 || told.count("upgrade this node") != 1 {
		t.Errorf("told %d times: %s", n, told.b.String())
	}
	rig = newCursorRig(t)
	rig.log.cfg.Logger = told.logger()
	rig.add("none", milli, nil, handMade{headers: []messages.Header{{Key: headerName, Value: []byte{headerVersion}}}})
	if h := rig.read(0, 0, 0); h.refused != 1 || told.count("level=ERROR") != 1 {
		t.Errorf("%d refused, and a header that is none is told of as a newer one's: %s", h.refused, told.b.String())
	}
}
