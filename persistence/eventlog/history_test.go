package eventlog_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

// history is the oracle of the crash tests: what was handed to Append, what
// was acknowledged, and what anybody has read. check compares a log with it.
type history struct {
	mu        sync.Mutex
	submitted map[string]submitted       // by the block's data, which is unique
	acked     map[string]messages.Offset // offset behind the block
	seen      map[string]messages.Offset // offset behind the block, of any earlier check
	frames    int                        // submitted
	ackCount  int
}

type submitted struct {
	frame     int
	partition messages.Partition
	records   uint32
	kind      messages.FrameKind
	stamp     messages.Micros
	key       string
	blocks    int // of the frame
}

func newHistory() *history {
	return &history{submitted: map[string]submitted{}, acked: map[string]messages.Offset{}, seen: map[string]messages.Offset{}}
}

// fork is a history that goes on from here on its own.
func (h *history) fork() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &history{submitted: maps.Clone(h.submitted), acked: maps.Clone(h.acked), seen: maps.Clone(h.seen),
		frames: h.frames, ackCount: h.ackCount}
}

// newFrame draws a frame and notes it as submitted.
func (h *history) newFrame(rng *rand.Rand) *messages.Frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames++
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: messages.Micros(h.frames)}
	if rng.IntN(3) == 0 {
		f.Key = fmt.Sprintf("key-%d", h.frames)
	}
	for p := range messages.Partition(testPartitions) {
		if rng.IntN(2) == 0 && (p < testPartitions-1 || len(f.Blocks) > 0) {
			continue
		}
		data := fmt.Appendf(nil, "frame %d partition %d ", h.frames, p)
		size := rng.IntN(200)
		if rng.IntN(20) == 0 {
			size = rng.IntN(9000)
		}
		for range size {
			data = append(data, byte('a'+rng.IntN(26)))
		}
		f.Blocks = append(f.Blocks, messages.Block{Partition: p, Records: rng.Uint32N(5), Data: data})
	}
	for i := range f.Blocks {
		b := &f.Blocks[i]
		h.submitted[string(b.Data)] = submitted{h.frames, b.Partition, b.Records, f.Kind, f.Stamp, f.Key, len(f.Blocks)}
	}
	return f
}

func (h *history) ack(f *messages.Frame, pos messages.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ackCount++
	for i := range f.Blocks {
		h.acked[string(f.Blocks[i].Data)] = pos[f.Blocks[i].Partition]
	}
}

// check reads the whole log: every block is one that was submitted, as it was;
// no frame is there in part or twice; offsets have no gaps; and everything that
// was acknowledged or read before is where it was.
func (h *history) check(l *eventlog.Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	ends := make(messages.Position, testPartitions)
	l.Ends(ends)
	there := map[string]messages.Offset{}
	blocks := map[int]int{}
	for p := range messages.Partition(testPartitions) {
		var b messages.Batch
		for from := messages.Offset(0); from < ends[p]; from = b.Next {
			if err := l.Read(context.Background(), p, from, &b); err != nil {
				return err
			}
			at := from
			for i := range b.Blocks {
				k := &b.Blocks[i]
				if k.Offset != at {
					return fmt.Errorf("partition %d: offset %d follows %d", p, k.Offset, at)
				}
				at += k.Span()
				s, ok := h.submitted[string(k.Data)]
				if !ok || s.partition != p || s.records != k.Records || s.kind != k.Kind || s.stamp != k.Stamp || s.key != k.Key {
					return fmt.Errorf("partition %d offset %d: %d records %.40q were never appended", p, k.Offset, k.Records, k.Data)
				}
				if _, twice := there[string(k.Data)]; twice {
					return fmt.Errorf("frame %d is there twice", s.frame)
				}
				there[string(k.Data)] = at
				blocks[s.frame]++
			}
			if b.Next != at {
				return fmt.Errorf("partition %d: next is %d behind offset %d", p, b.Next, at)
			}
		}
	}
	return h.compare(there, blocks, l.LastStamp())
}

func (h *history) compare(there map[string]messages.Offset, blocks map[int]int, last messages.Micros) error {
	for data := range there {
		s := h.submitted[data]
		if blocks[s.frame] != s.blocks {
			return fmt.Errorf("of frame %d %d of %d blocks are there", s.frame, blocks[s.frame], s.blocks)
		}
		if s.stamp > last {
			return fmt.Errorf("last stamp is %d, frame %d has %d", last, s.frame, s.stamp)
		}
	}
	for data, end := range h.acked {
		if there[data] != end {
			return fmt.Errorf("frame %d was acknowledged up to offset %d of partition %d: it is at %d now (0: lost)",
				h.submitted[data].frame, end, h.submitted[data].partition, there[data])
		}
	}
	for data, end := range h.seen {
		if there[data] != end {
			return fmt.Errorf("frame %d was read up to offset %d: it is at %d now (0: lost)", h.submitted[data].frame, end, there[data])
		}
	}
	h.seen = there
	return nil
}
