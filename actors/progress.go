package actors

import (
	"context"
	"fmt"
	"sync"

	"github.com/crestdb/crest/messages"
)

// progress is how far each partition is. Shards write it after every delta,
// callers of the engine read it and wait on it: it is the one place where the
// actors' state meets goroutines outside.
type progress struct {
	mu sync.Mutex
	// partitions are immutable once stored; replaced whole.
	partitions []*messages.PartitionStatus
	causes     []error // why each has failed; nil: it runs
	dedup      []int64 // bytes of each one's dedup tables, the next growth included
	// changed is closed at the next write; nil while nobody waits.
	changed chan struct{}
}

func newProgress(partitions int, settings messages.Settings) *progress {
	p := &progress{
		partitions: make([]*messages.PartitionStatus, partitions),
		causes:     make([]error, partitions),
		dedup:      make([]int64, partitions),
	}
	for i := range p.partitions {
		p.partitions[i] = &messages.PartitionStatus{Settings: settings}
	}
	return p
}

// publish stores a partition's state; s must not change afterwards.
func (p *progress) publish(i messages.Partition, s *messages.PartitionStatus, dedup int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Failed = p.partitions[i].Failed
	p.partitions[i], p.dedup[i] = s, dedup
	p.wakeLocked()
}

// fail marks a partition as failed, until the node is restarted; the first cause
// is kept.
func (p *progress) fail(i messages.Partition, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.causes[i] != nil {
		return
	}
	s := *p.partitions[i]
	s.Failed = cause.Error()
	p.partitions[i], p.causes[i] = &s, cause
	p.wakeLocked()
}

// failAll marks every partition as failed.
func (p *progress) failAll(cause error) {
	for i := range messages.Partition(len(p.partitions)) {
		p.fail(i, cause)
	}
}

func (p *progress) wakeLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// snapshot is the state of all partitions, each immutable.
func (p *progress) snapshot() []*messages.PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*messages.PartitionStatus(nil), p.partitions...)
}

// need tells whether a partition that has failed, with so much of it applied, is
// waited for all the same: then nobody waits at all.
type need func(i messages.Partition, applied messages.Offset) bool

func allNeeded(messages.Partition, messages.Offset) bool  { return true }
func noneNeeded(messages.Partition, messages.Offset) bool { return false }

// await waits until everything before pos is applied. It fails when ctx ends, and
// at once where a partition has failed that has not come to pos and is needed.
// Others that have failed are not waited for.
func (p *progress) await(ctx context.Context, pos messages.Position, needed need) error {
	for {
		changed, err := p.reached(pos, needed)
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitRunning waits until everything before pos is applied in all partitions that
// run. It fails when ctx ends, or none does.
func (p *progress) awaitRunning(ctx context.Context, pos messages.Position) error {
	err := p.await(ctx, pos, noneNeeded)
	if err == nil && p.runs() == 0 {
		err = p.failed()
	}
	return err
}

// reached returns nil, nil once pos is applied, nil and an error if it never
// will be, else a channel that is closed at the next change.
func (p *progress) reached(pos messages.Position, needed need) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := false
	for i, o := range pos {
		if o == 0 {
			continue
		}
		if i >= len(p.partitions) {
			return nil, fmt.Errorf("await partition %d: %w", i, messages.ErrPosition)
		}
		s := p.partitions[i]
		if s.AppliedOffset >= o {
			continue
		}
		if p.causes[i] != nil {
			if needed(messages.Partition(i), s.AppliedOffset) {
				return nil, p.failureLocked(messages.Partition(i))
			}
			continue
		}
		waits = true
	}
	if !waits {
		return nil, nil
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed, nil
}

// watch is a channel that is closed at the next change, or why a partition has
// failed.
func (p *progress) watch(i messages.Partition) (changed <-chan struct{}, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.causes[i] != nil {
		return nil, p.failureLocked(i)
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed, nil
}

// applied fills pos with the applied offsets.
func (p *progress) applied(pos messages.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.partitions {
		pos[i] = s.AppliedOffset
	}
}

// lag is how many entries lie between what is applied and ends, in all partitions
// that have not failed: with those it would grow for ever.
func (p *progress) lag(ends messages.Position) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n uint64
	for i, s := range p.partitions {
		if p.causes[i] == nil {
			n += uint64(max(ends[i], s.AppliedOffset) - s.AppliedOffset)
		}
	}
	return n
}

// covers tells whether everything before pos is applied.
func (p *progress) covers(pos messages.Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range pos {
		if o > 0 && (i >= len(p.partitions) || p.partitions[i].AppliedOffset < o) {
			return false
		}
	}
	return true
}

// follows tells whether everything before pos is applied in all partitions that
// have not failed.
func (p *progress) follows(pos messages.Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.partitions {
		if p.causes[i] == nil && s.AppliedOffset < pos[i] {
			return false
		}
	}
	return true
}

// running tells which partitions have not failed.
func (p *progress) running() []bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := make([]bool, len(p.partitions))
	for i, cause := range p.causes {
		running[i] = cause == nil
	}
	return running
}

// runs is how many partitions have not failed.
func (p *progress) runs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, cause := range p.causes {
		if cause == nil {
			n++
		}
	}
	return n
}

// clock is the largest partition clock of all; 0 before the first event.
func (p *progress) clock() messages.Micros {
	p.mu.Lock()
	defer p.mu.Unlock()
	var c messages.Micros
	for _, s := range p.partitions {
		c = max(c, s.Clock)
	}
	return c
}

// settings are those in force in the first partition that has not failed; a change
// reaches all in one frame.
func (p *progress) settings() messages.Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settingsLocked()
}

func (p *progress) settingsLocked() messages.Settings {
	for i, cause := range p.causes {
		if cause == nil {
			return p.partitions[i].Settings
		}
	}
	return p.partitions[0].Settings
}

// settingsAgree tells whether the partitions that have not failed have the same
// settings.
func (p *progress) settingsAgree() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.settingsLocked()
	for i, s := range p.partitions {
		if p.causes[i] == nil && s.Settings != first {
			return false
		}
	}
	return true
}

// dedupBytes is what the dedup tables hold of all partitions that have not failed:
// nothing empties the others. They share one budget: a single topic with an id on
// every event may take all of it.
func (p *progress) dedupBytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	for i, b := range p.dedup {
		if p.causes[i] == nil {
			n += b
		}
	}
	return n
}

// engineBytes is what all shards hold of the engine's memory.
func (p *progress) engineBytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	for _, s := range p.partitions {
		n += s.Memory.Engine()
	}
	return n
}
