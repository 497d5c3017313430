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
	dedup      []int64 // bytes of each one's dedup tables, the next growth included
	// changed is closed at the next write; nil while nobody waits.
	changed chan struct{}
}

func newProgress(partitions int, settings messages.Settings) *progress {
	p := &progress{partitions: make([]*messages.PartitionStatus, partitions), dedup: make([]int64, partitions)}
	for i := range p.partitions {
		p.partitions[i] = &messages.PartitionStatus{Settings: settings}
	}
	return p
}

// publish stores a partition's state; s must not change afterwards.
func (p *progress) publish(i messages.Partition, s *messages.PartitionStatus, dedup int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed := p.partitions[i].Failed; failed != "" {
		s.Failed = failed
	}
	p.partitions[i], p.dedup[i] = s, dedup
	p.wakeLocked()
}

// fail marks a partition as failed, for ever: it is recovered by a restart.
func (p *progress) fail(i messages.Partition, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := *p.partitions[i]
	if s.Failed == "" {
		s.Failed = reason
	}
	p.partitions[i] = &s
	p.wakeLocked()
}

// failAll marks every partition as failed.
func (p *progress) failAll(reason string) {
	for i := range messages.Partition(len(p.partitions)) {
		p.fail(i, reason)
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

// await waits until everything before pos is applied. It fails when ctx ends
// or a partition that pos needs has failed.
func (p *progress) await(ctx context.Context, pos messages.Position) error {
	for {
		changed, err := p.reached(pos)
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

// reached returns nil, nil once pos is applied, nil and an error if it never
// will be, else a channel that is closed at the next change.
func (p *progress) reached(pos messages.Position) (<-chan struct{}, error) {
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
		if s.Failed != "" {
			return nil, fmt.Errorf("partition %d: %s: %w", i, s.Failed, messages.ErrPartition)
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
	if reason := p.partitions[i].Failed; reason != "" {
		return nil, fmt.Errorf("partition %d: %s: %w", i, reason, messages.ErrPartition)
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

// lag is how many entries lie between what is applied and ends.
func (p *progress) lag(ends messages.Position) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n uint64
	for i, s := range p.partitions {
		n += uint64(max(ends[i], s.AppliedOffset) - s.AppliedOffset)
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
		if s.Failed == "" && s.AppliedOffset < pos[i] {
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
	for i, s := range p.partitions {
		running[i] = s.Failed == ""
	}
	return running
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

// settings are those in force in the first partition; a change reaches all in
// one frame.
func (p *progress) settings() messages.Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.partitions[0].Settings
}

// settingsAgree tells whether the partitions that have not failed have the same
// settings as the first.
func (p *progress) settingsAgree() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.partitions {
		if s.Failed == "" && s.Settings != p.partitions[0].Settings {
			return false
		}
	}
	return true
}

// failed names a partition that has failed, nil if none has.
func (p *progress) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.partitions {
		if s.Failed != "" {
			return fmt.Errorf("partition %d: %s: %w", i, s.Failed, messages.ErrPartition)
		}
	}
	return nil
}

// dedupBytes is what all dedup tables hold. They share one budget: a single
// topic with an id on every event may take all of it.
func (p *progress) dedupBytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	for _, b := range p.dedup {
		n += b
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
