package actorstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/crestdb/crest/messages"
)

// Writer is one of the writers of a log that is like a Kafka topic: each block of
// a frame lands for itself, stamped where it lands, between offsets that hold
// nothing, and now and then once more, because an answer to its writer was lost.
type Writer struct {
	*MemLog
	// Dies is asked before a block lands. If it says so the writer's process ends
	// there: Append is an error, and that block is on its way (see Late). nil: never.
	Dies func() bool

	id  messages.WriterID
	now func() messages.Micros // the partitions' clock

	mu        sync.Mutex
	rng       *rand.Rand
	sequences []uint64 // by partition: the last one's
	unsure    []landed // some of the last: any of them may land again
}

// landed is a block, without where.
type landed struct {
	partition messages.Partition
	block     messages.ReadBlock
}

// ErrDied is a Writer's that has died.
var ErrDied = errors.New("the writer has died")

// NewWriter is a writer of a log; now is the partitions' clock.
func NewWriter(log *MemLog, seed uint64, now func() messages.Micros) *Writer {
	w := &Writer{MemLog: log, now: now, rng: rand.New(rand.NewPCG(seed, 77)), sequences: make([]uint64, len(log.blocks))}
	for i := range w.id {
		w.id[i] = byte(w.rng.Uint32())
	}
	return w
}

// Append implements the log. Blocks land in any order; pos is where they are, the
// last time that they land here.
func (w *Writer) Append(_ context.Context, f *messages.Frame, pos messages.Position) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(pos)
	for _, i := range w.rng.Perm(len(f.Blocks)) {
		b := &f.Blocks[i]
		l := w.numberedLocked(f, b)
		if w.unsure = append(w.unsure, l); len(w.unsure) > 8 {
			w.unsure = w.unsure[1:]
		}
		if w.Dies != nil && w.Dies() {
			return ErrDied
		}
		pos[b.Partition] = w.landLocked(&l)
		if w.rng.IntN(4) == 0 {
			pos[b.Partition] = w.landLocked(&l)
		}
		// Others were only late: they land behind further ones.
		if w.rng.IntN(4) == 0 {
			w.lateLocked()
		}
	}
	return nil
}

// Late lands a block that was on its way, whether or not it is there already.
func (w *Writer) Late() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lateLocked()
}

func (w *Writer) lateLocked() {
	if len(w.unsure) > 0 {
		w.landLocked(&w.unsure[w.rng.IntN(len(w.unsure))])
	}
}

func (w *Writer) numberedLocked(f *messages.Frame, b *messages.Block) landed {
	w.sequences[b.Partition]++
	l := landed{b.Partition, messages.ReadBlock{
		Kind: f.Kind, Key: f.Key, BodyHash: f.BodyHash, Records: b.Records, Data: append([]byte(nil), b.Data...),
		Sent: &messages.Sent{Stamp: f.Stamp, Writer: w.id, Sequence: w.sequences[b.Partition], Follows: f.Follows},
	}}
	if f.Follows != nil {
		l.block.Key = FollowKey(f.Key, f.Follows.Home)
	}
	return l
}

func (w *Writer) landLocked(l *landed) messages.Offset {
	var gap messages.Offset
	if w.rng.IntN(3) == 0 {
		gap = messages.Offset(w.rng.IntN(5))
	}
	b := l.block
	b.Stamp = w.now()
	end := w.land(l.partition, gap, b)
	if w.rng.IntN(6) == 0 {
		w.land(l.partition, 0, messages.ReadBlock{Kind: messages.FrameGap})
	}
	return end
}

// FollowKey is the key under which a partition has a block that follows its
// home's.
func FollowKey(key string, home messages.Offset) string {
	return fmt.Sprintf("%s\x00@%d", key, home)
}
