package virtual

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// oracle reads the log as it comes, keeps all that it has read, and counts it in
// the obvious way. What it has read must never be lost or changed: only durable
// entries can be read.
type oracle struct {
	id messages.LogIdentity

	mu         sync.Mutex
	partitions []*copied
	wrong      []string
}

// copied is one partition.
type copied struct {
	blocks  []messages.ReadBlock
	end     messages.Offset
	recount *actorstest.Recount // as the engine counts
	named   *actorstest.Recount // without bounds of categories and regions: what they really were
	topics  map[string]uint64   // what each counts in all, of the entries up to summed
	summed  int
}

func newOracle(id messages.LogIdentity) *oracle {
	o := &oracle{id: id}
	wide := id
	wide.Settings.MaxCategories, wide.Settings.MaxRegions = 65_535, 65_535
	for range id.Partitions {
		o.partitions = append(o.partitions, &copied{
			recount: actorstest.NewRecount(&o.id),
			named:   actorstest.NewRecount(&wide),
			topics:  map[string]uint64{},
		})
	}
	return o
}

// follow reads a log from its beginning, as far as that was not trimmed, until
// ctx ends. Both functions it returns are for one life of a node; wait returns
// when the readers are gone.
func (o *oracle) follow(ctx context.Context, log node.Log) (wait func()) {
	var readers sync.WaitGroup
	for p := range messages.Partition(o.id.Partitions) {
		from := o.beginning(ctx, log, p)
		readers.Go(func() { o.read(ctx, log, p, from) })
	}
	return readers.Wait
}

// beginning is the first of the offsets known that can still be read.
func (o *oracle) beginning(ctx context.Context, log node.Log, p messages.Partition) messages.Offset {
	o.mu.Lock()
	blocks := o.partitions[p].blocks
	end := o.partitions[p].end
	o.mu.Unlock()
	var b messages.Batch
	lo, hi := 0, len(blocks) // blocks[hi:] can be read
	for lo < hi {
		mid := (lo + hi) / 2
		if log.Read(ctx, p, blocks[mid].Offset, &b) == nil {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if hi == len(blocks) {
		return end
	}
	return blocks[hi].Offset
}

func (o *oracle) read(ctx context.Context, log node.Log, p messages.Partition, from messages.Offset) {
	var b messages.Batch
	for {
		err := log.Read(ctx, p, from, &b)
		if err != nil {
			// The end of a life shows as a stop, or as a disk that is gone.
			if ctx.Err() == nil && !errors.Is(err, messages.ErrStopped) && !errors.Is(err, persistencetest.ErrPowerOff) {
				o.complain("partition %d cannot be read at offset %d: %v", p, from, err)
			}
			return
		}
		o.take(p, &b)
		from = b.Next
	}
}

func (o *oracle) complain(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...))
}

func (o *oracle) take(p messages.Partition, b *messages.Batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.partitions[p]
	for i := range b.Blocks {
		k := &b.Blocks[i]
		switch {
		case k.Offset > c.end:
			o.wrong = append(o.wrong, fmt.Sprintf("partition %d: offset %d follows %d", p, k.Offset, c.end))
			return
		case k.Offset < c.end:
			at, ok := slices.BinarySearchFunc(c.blocks, k.Offset, func(b messages.ReadBlock, at messages.Offset) int { return int(int64(b.Offset) - int64(at)) })
			if !ok || !same(&c.blocks[at], k) {
				o.wrong = append(o.wrong, fmt.Sprintf("partition %d: what was read at offset %d is something else now", p, k.Offset))
			}
		default:
			own := *k
			own.Data, own.Position = bytes.Clone(k.Data), bytes.Clone(k.Position)
			c.blocks = append(c.blocks, own)
			c.end += own.Span()
			c.recount.Take(&own)
			c.named.Take(&own)
		}
	}
}

func same(a, b *messages.ReadBlock) bool {
	return a.End == b.End && a.Kind == b.Kind && a.Stamp == b.Stamp && a.Key == b.Key && a.BodyHash == b.BodyHash && a.Records == b.Records &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Position, b.Position)
}

// ends are those of what was read.
func (o *oracle) ends() messages.Position {
	o.mu.Lock()
	defer o.mu.Unlock()
	var pos messages.Position
	for _, c := range o.partitions {
		pos = append(pos, c.end)
	}
	return pos
}

// complaint is what is wrong with the log, if anything is.
func (o *oracle) complaint() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.wrong) > 0 {
		return errors.New(o.wrong[0])
	}
	return nil
}

// ledgers are what the engine's must be.
func (o *oracle) ledgers() (all []messages.Ledger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.partitions {
		l := c.recount.Ledger
		l.NextOffset = c.end
		l.Logged = uint64(c.end) - l.Controls
		l.Epoch = 1
		all = append(all, l)
	}
	return all
}

// totals are what each topic counts in all.
func (o *oracle) totals() map[string]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string]uint64{}
	for _, c := range o.partitions {
		for _, e := range c.recount.Entries[c.summed:] {
			c.topics[e.Topic] += e.Count
		}
		c.summed = len(c.recount.Entries)
		maps.Copy(all, c.topics) // a topic lives in one partition
	}
	return all
}

// each calls f for every event that counts, under its own names.
func (o *oracle) each(f func(*actorstest.Entry)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.partitions {
		for i := range c.named.Entries {
			f(&c.named.Entries[i])
		}
	}
}

// stampsAscend tells whether no frame has an earlier stamp than the one before.
func (o *oracle) stampsAscend() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, c := range o.partitions {
		for i := 1; i < len(c.blocks); i++ {
			if c.blocks[i].Stamp < c.blocks[i-1].Stamp {
				return fmt.Errorf("partition %d: the stamp at offset %d is %v, the one before it %v", p, c.blocks[i].Offset, c.blocks[i].Stamp.Time(), c.blocks[i-1].Stamp.Time())
			}
		}
	}
	return nil
}
