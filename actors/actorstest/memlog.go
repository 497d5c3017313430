package actorstest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/crestdb/crest/messages"
)

// MemLog is an event log in memory: durable at once, lost with the process.
type MemLog struct {
	mu      sync.Mutex
	id      messages.LogID
	blocks  [][]messages.ReadBlock // by partition
	ends    messages.Position
	changed chan struct{} // closed at the next append
	broken  map[messages.Partition]error
}

// NewMemLog is an empty log.
func NewMemLog(id *messages.LogIdentity) *MemLog {
	return &MemLog{id: id.ID, blocks: make([][]messages.ReadBlock, id.Partitions), ends: make(messages.Position, id.Partitions), changed: make(chan struct{})}
}

// land puts a block of one offset at the end of a partition, behind gap offsets
// that hold nothing and that it spans too. It returns the offset behind it.
func (l *MemLog) land(p messages.Partition, gap messages.Offset, b messages.ReadBlock) messages.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Offset = l.ends[p]
	l.ends[p] += gap + 1
	b.End = l.ends[p]
	if b.Key != "" && b.Sent.Follows == nil {
		pos := make(messages.Position, len(l.ends))
		pos[p] = b.End
		b.Position = pos.AppendTo(nil, l.id)
	}
	l.blocks[p] = append(l.blocks[p], b)
	l.wakeLocked()
	return b.End
}

// Append implements the log; it copies the frame's data.
func (l *MemLog) Append(_ context.Context, f *messages.Frame, pos messages.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(pos)
	starts := append(messages.Position(nil), l.ends...)
	for i := range f.Blocks {
		b := &f.Blocks[i]
		l.ends[b.Partition] += b.Span()
		pos[b.Partition] = l.ends[b.Partition]
	}
	encoded := pos.AppendTo(nil, l.id)
	for i := range f.Blocks {
		b := &f.Blocks[i]
		l.blocks[b.Partition] = append(l.blocks[b.Partition], messages.ReadBlock{
			Offset: starts[b.Partition], End: starts[b.Partition] + b.Span(), Kind: f.Kind, Stamp: f.Stamp, Key: f.Key, BodyHash: f.BodyHash,
			Records: b.Records, Data: append([]byte(nil), b.Data...), Position: encoded,
		})
	}
	l.wakeLocked()
	return nil
}

// Begin has an empty log's partitions begin elsewhere than at 0.
func (l *MemLog) Begin(at messages.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	copy(l.ends, at)
}

// Break makes every later Read of some partitions fail, or of all if none is
// named.
func (l *MemLog) Break(err error, partitions ...messages.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = make(map[messages.Partition]error)
	}
	for p := range messages.Partition(len(l.blocks)) {
		if len(partitions) == 0 || slices.Contains(partitions, p) {
			l.broken[p] = err
		}
	}
	l.wakeLocked()
}

func (l *MemLog) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Ends implements the log.
func (l *MemLog) Ends(pos messages.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	copy(pos, l.ends)
}

// Blocks are all blocks of a partition so far.
func (l *MemLog) Blocks(p messages.Partition) []messages.ReadBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks[p]
}

// Read implements the log: at most 16 blocks a call.
func (l *MemLog) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	for {
		changed, err := l.read(p, from, b)
		if err != nil || len(b.Blocks) > 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *MemLog) read(p messages.Partition, from messages.Offset, b *messages.Batch) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.broken[p]; err != nil {
		return nil, fmt.Errorf("read partition %d: %w", p, err)
	}
	b.Partition, b.Blocks, b.Next = p, b.Blocks[:0], from
	for _, block := range l.blocks[p] {
		if block.Offset >= from && len(b.Blocks) < 16 {
			b.Blocks = append(b.Blocks, block)
			b.Next = block.End
		}
	}
	return l.changed, nil
}
