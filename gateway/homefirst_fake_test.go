package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/crestdb/crest/messages"
)

// splitLog is a log whose blocks land one by one, shared by gateways that know
// nothing of each other. Its partitions stamp what arrives, and have gaps.
type splitLog struct {
	id     messages.LogIdentity
	window messages.Micros

	mu      sync.Mutex
	changed chan struct{} // closed and replaced on every change
	now     messages.Micros
	gaps    *rand.Rand
	parts   [][]splitBlock
	ends    messages.Position
}

// splitBlock is a block as read back.
type splitBlock struct {
	end    messages.Offset
	stamp  messages.Micros // arrival
	sent   messages.Micros // the frame's
	key    string
	hash   messages.BodyHash
	follow *messages.Followed
	topics []string // of its records
}

func newSplitLog(partitions int) *splitLog {
	l := &splitLog{
		id: messages.LogIdentity{
			Partitions: partitions, ID: messages.LogID{1, 2, 3, 4}, HashKey: [32]byte{5}, Routing: messages.RoutingMurmur2,
		},
		window:  10 * messages.Minute,
		changed: make(chan struct{}),
		now:     testNow,
		gaps:    rand.New(rand.NewPCG(1, 2)),
		parts:   make([][]splitBlock, partitions),
		ends:    make(messages.Position, partitions),
	}
	return l
}

// set changes something and wakes whoever waits.
func (l *splitLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.wakeLocked()
}

func (l *splitLog) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// until waits for a condition, with the lock held while it is checked.
func (l *splitLog) until(ctx context.Context, condition func() bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !condition() {
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			l.mu.Lock()
			return ctx.Err()
		}
		l.mu.Lock()
	}
	return nil
}

// landLocked puts a block of a frame at the end of its partition, and returns
// the offset behind it.
func (l *splitLog) landLocked(f *messages.Frame, b *messages.Block) messages.Offset {
	kept := splitBlock{sent: f.Stamp, stamp: l.now, key: f.Key, hash: f.BodyHash}
	if f.Follows != nil {
		follow := *f.Follows
		kept.follow = &follow
	}
	for data := b.Data; len(data) > 0; {
		var r messages.Record
		rest, err := r.ReadFrom(data)
		if err != nil {
			panic(err)
		}
		kept.topics, data = append(kept.topics, string(r.Topic)), rest
	}
	if len(kept.topics) != int(b.Records) {
		panic("a block's number of records is wrong")
	}
	l.now += messages.Second / 1000
	l.ends[b.Partition] += 1 + messages.Offset(l.gaps.IntN(3))
	kept.end = l.ends[b.Partition]
	l.parts[b.Partition] = append(l.parts[b.Partition], kept)
	return kept.end
}

// splitKey is what a partition remembers of a key.
type splitKey struct {
	end  messages.Micros
	hash messages.BodyHash
	at   messages.Offset
	sent messages.Micros
}

const splitSlack = 10 * messages.Minute // as the ingest actors' FollowSlack

// partitionLocked counts a partition up to an offset, as the ingest actors do: topics
// of blocks that were not there before, and the keys known then.
func (l *splitLog) partitionLocked(p messages.Partition, to messages.Offset, counts map[string]int) map[string]splitKey {
	keys := map[string]splitKey{}
	quarter := l.window / 4
	for _, b := range l.parts[p] {
		if b.end > to {
			break
		}
		if b.key != "" {
			name, e := b.key, splitKey{end: b.stamp.Floor(quarter) + quarter, hash: b.hash, at: b.end, sent: b.sent}
			if b.follow != nil {
				name = fmt.Sprintf("%s\x00@%d", b.key, b.follow.Home)
				e.end = b.follow.Until + splitSlack
			}
			if k, there := keys[name]; there && k.end+l.window > b.stamp {
				continue // a repeat, or another body under the key
			}
			keys[name] = e
		}
		for _, t := range b.topics {
			counts[t]++
		}
	}
	return keys
}

// counts are all topics counted by now.
func (l *splitLog) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[string]int{}
	for p := range l.parts {
		l.partitionLocked(messages.Partition(p), l.ends[p], counts)
	}
	return counts
}

// blocks are those of all partitions in the order in which they landed.
func (l *splitLog) blocks() []splitBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Concat(l.parts...)
	slices.SortFunc(all, func(a, b splitBlock) int { return int(a.stamp - b.stamp) })
	return all
}

// splitNode is one gateway's way to the log, and its engine. Its fields are
// guarded by the log.
type splitNode struct {
	*splitLog
	// dies is how many blocks land before the process does; below 0: it lives.
	dies int
	// lost blocks land, but their writer is not told; failed ones do not land.
	// Both are counts, used up one after the other.
	lost, failed int
	holdAppend   bool
	stale        bool              // whoever asks before it appends is told of nothing
	hold         messages.Position // the engine counts no further; nil: it counts all
	asked        []messages.KeyQuery
	admitErr     error
}

func (l *splitLog) node() *splitNode { return &splitNode{splitLog: l, dies: -1} }

var errDead = fmt.Errorf("the process has died: %w", messages.ErrStopped)

func (n *splitNode) Append(ctx context.Context, f *messages.Frame, pos messages.Position) error {
	if err := n.until(ctx, func() bool { return !n.holdAppend }); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var failure error
	for i := range f.Blocks {
		b := &f.Blocks[i]
		switch {
		case n.dies == 0:
			return errDead
		case n.failed > 0:
			n.failed--
			failure = fmt.Errorf("partition %d: no leader: %w", b.Partition, messages.ErrStopped)
			continue
		case n.dies > 0:
			n.dies--
		}
		pos[b.Partition] = n.landLocked(f, b)
		if n.lost > 0 {
			n.lost--
			failure = fmt.Errorf("partition %d: connection reset: %w", b.Partition, messages.ErrStopped)
		}
	}
	n.wakeLocked()
	return failure
}

func (n *splitNode) appliedLocked() messages.Position {
	if n.hold != nil {
		return n.hold
	}
	return n.ends
}

func (n *splitNode) Await(ctx context.Context, pos messages.Position) error {
	return n.until(ctx, func() bool { return n.appliedLocked().Covers(pos) })
}

func (n *splitNode) Seen(ctx context.Context, q *messages.KeyQuery) (messages.KeyVerdict, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dies == 0 {
		return messages.KeyVerdict{}, errDead
	}
	n.asked = append(n.asked, *q)
	n.wakeLocked()
	home := messages.NewRoutes(&n.id).Home(q.Key)
	applied := n.appliedLocked()[home]
	if n.stale && !q.Applied {
		applied = 0
	}
	k, there := n.partitionLocked(home, applied, map[string]int{})[q.Key]
	switch {
	case !there || !q.Applied && k.end+n.window <= n.now:
		return messages.KeyVerdict{State: messages.KeyNew}, ctx.Err()
	case k.hash != q.BodyHash:
		return messages.KeyVerdict{State: messages.KeyConflict}, ctx.Err()
	}
	pos := make(messages.Position, len(n.ends))
	pos[home] = k.at
	return messages.KeyVerdict{State: messages.KeySeen, Stamp: k.sent, Until: k.end, Position: pos.AppendTo(nil, n.id.ID)}, ctx.Err()
}

func (n *splitNode) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dies == 0 {
		return errDead
	}
	return nil
}

func (n *splitNode) Admit(context.Context, *messages.Frame, bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.admitErr
}
