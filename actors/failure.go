package actors

import (
	"errors"

	"github.com/crestdb/crest/messages"
)

func (p *progress) failureLocked(i messages.Partition) *messages.PartitionError {
	return &messages.PartitionError{Partition: i, Cause: p.causes[i]}
}

// failed names a partition that has failed, nil if none has. Of several it is one
// that has not lost its log: more depends on those (see Admit).
func (p *progress) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var worst *messages.PartitionError
	n := 0
	for i, cause := range p.causes {
		if cause == nil {
			continue
		}
		n++
		if worst == nil || errors.Is(worst, messages.ErrLost) && !errors.Is(cause, messages.ErrLost) {
			worst = p.failureLocked(messages.Partition(i))
		}
	}
	if worst == nil {
		return nil
	}
	worst.Others = n - 1
	return worst
}

// failedOf is why a partition has failed, nil if it runs.
func (p *progress) failedOf(i messages.Partition) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.causes[i] == nil {
		return nil
	}
	return p.failureLocked(i)
}

// without are the partitions that have failed, for a question that does without
// them; nil: none has. It fails if the question needs one of them.
func (p *progress) without(needs func(messages.Partition) bool) ([]bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var without []bool
	for i, cause := range p.causes {
		switch {
		case cause == nil:
			continue
		case needs(messages.Partition(i)):
			return nil, p.failureLocked(messages.Partition(i))
		case without == nil:
			without = make([]bool, len(p.causes))
		}
		without[i] = true
	}
	return without, nil
}

// partial is a question that needs some partitions only.
type partial interface {
	needs(messages.Partition) bool
}

// needsOf tells which partitions the answer to a question cannot do without.
func needsOf(q question) func(messages.Partition) bool {
	if p, ok := q.(partial); ok {
		return p.needs
	}
	return needsAll
}

func needsAll(messages.Partition) bool { return true }
