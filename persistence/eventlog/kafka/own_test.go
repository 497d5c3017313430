package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// write puts a frame before the rig's cursor as a writer would: each block's
// parts in one batch.
func (rig *cursorRig) write(f *messages.Frame, write Write, limit int, sequence *uint64) {
	rig.t.Helper()
	parts, err := partsOf(f, nil, write, limit)
	if err != nil {
		rig.t.Fatal(err)
	}
	e, err := newBatchEncoder("lz4")
	if err != nil {
		rig.t.Fatal(err)
	}
	e.reset()
	for i := range parts {
		*sequence++
		parts[i].sequence = *sequence
		parts[i].encodeTo(e, messages.WriterID{42})
	}
	b, err := e.seal()
	if err != nil {
		rig.t.Fatal(err)
	}
	be.PutUint64(b, uint64(rig.base))
	rig.base += int64(e.count)
	rig.batches = append(rig.batches, b...)
}

// TestOwnBlocksComeBack as they were written, in one record or in one for each
// event, whole or in parts, and however little a Read takes.
func TestOwnBlocksComeBack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, write := range []Write{WriteBlocks, WriteEvents} {
		for _, limit := range []int{1 << 20, 400} {
			t.Run(fmt.Sprint("write=", write, "/limit=", limit), func(t *testing.T) {
				rig := newCursorRig(t)
				const p = 3
				var want []messages.ReadBlock // whole blocks
				sequence := uint64(0)
				for i := range 60 {
					f := frameOf(rig.now+messages.Micros(i)*messages.Second-messages.Minute, rng.IntN(8), p)
					if rng.IntN(2) == 0 {
						f.Key, f.BodyHash = fmt.Sprint("key", i), messages.BodyHash{byte(i)}
						if rng.IntN(2) == 0 {
							f.Follows = &messages.Followed{Home: messages.Offset(rng.Uint32()), Until: rig.now}
						}
					} else if f.Blocks[0].Records == 0 {
						f.Kind = messages.FrameTick
					}
					rig.write(f, write, limit, &sequence)
					want = append(want, messages.ReadBlock{
						Kind: f.Kind, Sent: &messages.Sent{Stamp: f.Stamp, Follows: f.Follows}, Key: f.Key, BodyHash: f.BodyHash,
						Records: f.Blocks[0].Records, Data: f.Blocks[0].Data,
					})
				}
				h := rig.read(p, 0, 1+rng.IntN(2000))
				last, at := uint64(0), 0
				for i := range want {
					w := &want[i]
					var data []byte
					for part := 0; part == 0 || len(data) < len(w.Data); part++ {
						if at == len(h.blocks) {
							t.Fatalf("block %d is not whole: %d bytes of %d", i, len(data), len(w.Data))
						}
						b := &h.blocks[at]
						at++
						if b.Kind != w.Kind || b.BodyHash != w.BodyHash || b.Sent.Stamp != w.Sent.Stamp || !reflect.DeepEqual(b.Sent.Follows, w.Sent.Follows) {
							t.Fatalf("block %d: %+v %+v: want %+v %+v", i, b, b.Sent, w, w.Sent)
						}
						if b.Sent.Writer != (messages.WriterID{42}) || b.Sent.Sequence <= last {
							t.Fatalf("block %d: sequence %d behind %d", i, b.Sent.Sequence, last)
						}
						last = b.Sent.Sequence
						key := w.Key
						if key != "" && w.Sent.Follows != nil {
							key += fmt.Sprint("\x00@", w.Sent.Follows.Home)
						}
						if key != "" && part > 0 {
							key += fmt.Sprint("\x00", part)
						}
						if b.Key != key {
							t.Fatalf("block %d, part %d: key %q: want %q", i, part, b.Key, key)
						}
						if b.Stamp != w.Sent.Stamp/messages.Millisecond*messages.Millisecond {
							t.Fatalf("block %d came at %d", i, b.Stamp)
						}
						if limit > 400 && b.Records != w.Records {
							t.Fatalf("block %d has %d records: want %d", i, b.Records, w.Records)
						}
						data = append(data, b.Data...)
					}
					if !slices.Equal(data, w.Data) {
						t.Fatalf("block %d has other data", i)
					}
				}
				if at != len(h.blocks) {
					t.Errorf("%d blocks too many", len(h.blocks)-at)
				}
				rig.wantAside()
			})
		}
	}
}

// TestPositionOfAHomeBlock is behind it; no other block under a key has one.
func TestPositionOfAHomeBlock(t *testing.T) {
	for _, write := range []Write{WriteBlocks, WriteEvents} {
		rig := newCursorRig(t)
		key := "key"
		home := rig.log.reading.routes.Home(key)
		rig.base = 100
		sequence := uint64(0)
		f := frameOf(rig.now, 3, home)
		f.Key = key
		rig.write(f, write, 1<<20, &sequence)
		h := rig.read(home, 100, 0)
		want := make(messages.Position, home+1)
		want[home] = h.blocks[0].End
		if !bytes.Equal(h.blocks[0].Position, want.AppendTo(nil, rig.log.id.ID)) {
			t.Errorf("write %d: position %x of a block that ends at %d", write, h.blocks[0].Position, h.blocks[0].End)
		}
		if h := rig.read(home+1, 100, 0); h.blocks[0].Position != nil {
			t.Errorf("write %d: a block that is not at home has a position", write)
		}
		f.Follows = &messages.Followed{Home: 5}
		rig.batches = nil
		rig.write(f, write, 1<<20, &sequence)
		if h := rig.read(home, messages.Offset(rig.base-3), 0); h.blocks[0].Position != nil {
			t.Errorf("write %d: a block that follows has a position", write)
		}
	}
}

// TestAReadEndsBehindAControlBlock: what comes next is judged by it.
func TestAReadEndsBehindAControlBlock(t *testing.T) {
	rig := newCursorRig(t)
	rig.add("none", milli, nil, value("a"))
	s := messages.DefaultSettings()
	s.MaxAhead = 0
	sequence := uint64(0)
	rig.write(&messages.Frame{Kind: messages.FrameControl, Stamp: rig.now, Blocks: []messages.Block{{Data: s.AppendTo(nil)}}}, WriteBlocks, 1000, &sequence)
	rig.add("none", milli+1, nil, value("b"))
	c := rig.log.newCursor(0, 0)
	c.load(&fetched{records: rig.batches})
	b := &messages.Batch{}
	if err := c.fill(b); err != nil || len(b.Blocks) != 2 || b.Next != 2 || b.Blocks[1].Kind != messages.FrameControl {
		t.Fatalf("%v: %+v", err, b.Blocks)
	}
	got, err := messages.ParseSettings(b.Blocks[1].Data)
	if err != nil || got != s {
		t.Errorf("settings %+v, %v", got, err)
	}
	*b = messages.Batch{Settings: got, Next: b.Next}
	if err := c.fill(b); err != nil || len(b.Blocks) != 1 || b.Blocks[0].Refused != 1 {
		t.Errorf("%v: %+v", err, b.Blocks)
	}
}

// TestAGatewayAheadIsClamped: what it has acknowledged is counted, and its clock
// does not become the partition's. One that is a little ahead is believed, or
// another reading would judge it differently.
func TestAGatewayAheadIsClamped(t *testing.T) {
	rig := newCursorRig(t)
	sequence := uint64(0)
	for _, ahead := range []messages.Micros{messages.Day, 5 * messages.Minute, 5*messages.Minute + messages.Second} {
		rig.write(frameOf(rig.now+ahead, 2, 0), WriteBlocks, 1<<20, &sequence)
	}
	h := rig.read(0, 0, 0)
	for i, want := range []messages.Micros{0, 5 * messages.Minute, 0} {
		if b := h.blocks[i]; b.Records != 2 || b.Stamp != rig.now+want {
			t.Errorf("block %d: %d events that came at %d: want 2 at %d", i, b.Records, b.Stamp, rig.now+want)
		}
	}
	if len(h.blocks) != 3 || h.refused > 0 {
		t.Errorf("%d blocks, %d refused", len(h.blocks), h.refused)
	}
}

// TestABlockOfEventsCutOffAtItsBeginning: what is left of it is counted.
func TestABlockOfEventsCutOffAtItsBeginning(t *testing.T) {
	rig := newCursorRig(t)
	sequence := uint64(0)
	rig.write(frameOf(rig.now, 5, 0), WriteEvents, 1<<20, &sequence)
	rig.write(frameOf(rig.now, 2, 0), WriteEvents, 1<<20, &sequence)
	h := rig.read(0, 2, 1)
	if len(h.blocks) != 2 || h.blocks[0].Records != 3 || h.blocks[1].Records != 2 || h.next != 7 {
		t.Errorf("read %+v", h.blocks)
	}
}
