package actors

import (
	"errors"
	"fmt"

	"github.com/crestdb/crest/messages"
)

// Failure says that a partition has failed: messages.ErrPartition, and its cause.
// What needs the partition is not answered until the node is restarted with what
// it lacks; the rest is.
type Failure struct {
	partition messages.Partition
	cause     error
	others    int // how many more have failed, where that is told
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("partition %d: %v: %v", f.partition, f.cause, messages.ErrPartition)
	if f.others > 0 {
		text += fmt.Sprintf(", as have %d more", f.others)
	}
	return text
}

// Unwrap makes it a messages.ErrPartition and what its cause is.
func (f *Failure) Unwrap() []error { return []error{messages.ErrPartition, f.cause} }

// Partition is which one has failed.
func (f *Failure) Partition() messages.Partition { return f.partition }

// Cause says why, for people.
func (f *Failure) Cause() string { return f.cause.Error() }

func (p *progress) failureLocked(i messages.Partition) *Failure {
	return &Failure{partition: i, cause: p.causes[i]}
}

// failed names a partition that has failed, nil if none has. Of several it is one
// that has not lost its log: more depends on those (see Admit).
func (p *progress) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var worst *Failure
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
	worst.others = n - 1
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
