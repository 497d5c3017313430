package gateway

import (
	"context"
	"slices"
	"sync"

	"github.com/crestdb/crest/messages"
)

// fakeNode is a log and the part of an engine that ingest needs, in memory. By
// default it applies frames as they are appended.
type fakeNode struct {
	id messages.LogIdentity

	mu      sync.Mutex
	changed chan struct{} // closed and replaced on every change
	frames  []messages.Frame
	ends    messages.Position
	applied messages.Position
	keys    map[string]fakeKey

	holdAppend, holdApply bool
	appendErr, admitErr   error
	failNext              error // of one append
	seenErr, readyErr     error
	waiting               int // appends that wait
	admitted              []bool
}

type fakeKey struct {
	hash     messages.BodyHash
	stamp    messages.Micros
	position []byte
}

func newFakeNode(partitions int) *fakeNode {
	n := &fakeNode{
		id:      messages.LogIdentity{Partitions: partitions, ID: messages.LogID{1, 2, 3, 4}, HashKey: [32]byte{5}},
		changed: make(chan struct{}),
		ends:    make(messages.Position, partitions),
		applied: make(messages.Position, partitions),
		keys:    map[string]fakeKey{},
	}
	return n
}

// set changes the node's behaviour and wakes whoever waits.
func (n *fakeNode) set(change func(n *fakeNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
	if !n.holdApply {
		copy(n.applied, n.ends)
		n.applyKeysLocked()
	}
	n.wakeLocked()
}

func (n *fakeNode) wakeLocked() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// until waits for a condition, with the lock held while it is checked.
func (n *fakeNode) until(ctx context.Context, condition func() bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !condition() {
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			n.mu.Lock()
			return ctx.Err()
		}
		n.mu.Lock()
	}
	return nil
}

func (n *fakeNode) Append(ctx context.Context, f *messages.Frame, pos messages.Position) error {
	n.set(func(n *fakeNode) { n.waiting++ })
	err := n.until(ctx, func() bool { return !n.holdAppend })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting--
	if err == nil {
		err, n.failNext = n.failNext, nil
	}
	if err == nil {
		err = n.appendErr
	}
	if err != nil {
		return err
	}
	kept := *f
	kept.Blocks = slices.Clone(f.Blocks)
	for i := range kept.Blocks {
		b := &kept.Blocks[i]
		b.Data = slices.Clone(b.Data)
		n.ends[b.Partition] += b.Span()
		pos[b.Partition] = n.ends[b.Partition]
	}
	n.frames = append(n.frames, kept)
	if !n.holdApply {
		copy(n.applied, n.ends)
		n.applyKeysLocked()
	}
	n.wakeLocked()
	return nil
}

// applyKeysLocked takes the keys of all frames in. With one block per frame
// and partition in order, the first frame with a key is the one that counts.
func (n *fakeNode) applyKeysLocked() {
	behind := make(messages.Position, len(n.ends))
	for i := range n.frames {
		f := &n.frames[i]
		pos := make(messages.Position, len(n.ends))
		for _, b := range f.Blocks {
			behind[b.Partition] += b.Span()
			pos[b.Partition] = behind[b.Partition]
		}
		if _, there := n.keys[f.Key]; f.Key != "" && !there {
			n.keys[f.Key] = fakeKey{f.BodyHash, f.Stamp, pos.AppendTo(nil, n.id.ID)}
		}
	}
}

func (n *fakeNode) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.readyErr
}

func (n *fakeNode) Admit(_ context.Context, _ *messages.Frame, ids bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.admitted = append(n.admitted, ids)
	return n.admitErr
}

func (n *fakeNode) Seen(_ context.Context, q *messages.KeyQuery) (messages.KeyVerdict, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, there := n.keys[q.Key]
	switch {
	case n.seenErr != nil:
		return messages.KeyVerdict{}, n.seenErr
	case !there:
		return messages.KeyVerdict{State: messages.KeyNew}, nil
	case k.hash != q.BodyHash:
		return messages.KeyVerdict{State: messages.KeyConflict}, nil
	}
	return messages.KeyVerdict{State: messages.KeySeen, Stamp: k.stamp, Position: k.position}, nil
}

func (n *fakeNode) Await(ctx context.Context, pos messages.Position) error {
	return n.until(ctx, func() bool { return n.applied.Covers(pos) })
}

// records decodes everything in the log.
func (n *fakeNode) records() []messages.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []messages.Record
	for _, f := range n.frames {
		for _, b := range f.Blocks {
			for data := b.Data; len(data) > 0; {
				var r messages.Record
				rest, err := r.ReadFrom(data)
				if err != nil {
					panic(err)
				}
				all, data = append(all, r), rest
			}
		}
	}
	return all
}

func (n *fakeNode) frameCount() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.frames)
}
