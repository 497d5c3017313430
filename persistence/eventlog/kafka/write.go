package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

const (
	// tryTimeout is how long one produce request is waited for.
	tryTimeout = 10 * time.Second
	// The pause between two tries doubles from the one to the other.
	shortestBackoff = 50 * time.Millisecond
	longestBackoff  = time.Second
)

// writer writes to one partition: one request at a time, with everything that has
// come in during the one before. So what it writes is in order, and a batch whose
// outcome is not known is settled before the next one goes out.
type writer struct {
	log       *Log
	partition messages.Partition

	mu    sync.Mutex
	queue []*part
	poke  chan struct{} // cap 1: there is something in queue

	// The goroutine's own.
	sequence uint64
	batch    []*part
}

func newWriter(l *Log, p messages.Partition) *writer {
	return &writer{log: l, partition: p, poke: make(chan struct{}, 1)}
}

// add queues a part. The queue is bounded by Config.MaxWaiting, over all writers.
func (w *writer) add(p *part) {
	w.mu.Lock()
	w.queue = append(w.queue, p)
	w.mu.Unlock()
	select {
	case w.poke <- struct{}{}:
	default: // it knows already
	}
}

// run writes until the log closes and the queue is empty, or until log.tries
// ends: then what is left fails.
func (w *writer) run() {
	for {
		if w.take(); len(w.batch) > 0 {
			w.write(w.batch, false)
			continue
		}
		select {
		case <-w.poke:
		case <-w.log.open.Done():
			// Nothing is queued once open has ended (enqueue looks under the lock that
			// Close ends it under), so an empty queue stays empty.
			if w.take(); len(w.batch) == 0 {
				return
			}
			w.write(w.batch, false)
		}
	}
}

// take moves parts from the queue into the batch, as many as fit into one.
func (w *writer) take() {
	w.batch = w.batch[:0]
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for _, p := range w.queue {
		if len(w.batch) > 0 && size+p.size > w.log.cfg.MaxRecord {
			break
		}
		n++
		if p.of.gone.Load() {
			p.of.settle(p.block, 0, errGone)
			continue
		}
		size += p.size
		w.batch = append(w.batch, p)
	}
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
}

// write settles every part of batch: it is written, or has failed. maybe says that
// it may have been written before.
func (w *writer) write(batch []*part, maybe bool) {
	for _, p := range batch {
		if p.sequence == 0 {
			w.sequence++
			p.sequence = w.sequence
		}
	}
	var last error // of the tries so far
	pause := shortestBackoff
	for {
		if batch = w.expire(batch, last, maybe); len(batch) == 0 {
			w.log.health.gaveUp(w.partition)
			return
		}
		if err := w.log.stopped(); err != nil {
			fail(batch, err)
			return
		}
		base, err := w.try(batch)
		switch verdict(err) {
		case outcomeWritten:
			w.log.health.fine(w.partition)
			w.settle(batch, base)
			return
		case outcomeTooLarge:
			if len(batch) > 1 {
				w.write(batch[:len(batch)/2], maybe)
				w.write(batch[len(batch)/2:], maybe)
				return
			}
			err = fmt.Errorf("a record of about %d bytes: %w", batch[0].size, err)
			fallthrough
		case outcomeRefused:
			w.log.health.forget(w.partition) // nothing was written, but the broker answers
			fail(batch, w.failure(err, maybe))
			return
		}
		last, maybe = err, true
		w.log.health.failed(w.partition, err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, longestBackoff)
		case <-w.log.tries.Done():
		}
	}
}

// try sends the batch once and returns the offset of its first record. Sent again
// it is the same: every part keeps its sequence.
func (w *writer) try(batch []*part) (base int64, err error) {
	deadline := time.Now().Add(tryTimeout)
	for _, p := range batch {
		if p.of.deadline.Before(deadline) {
			deadline = p.of.deadline
		}
	}
	b, err := w.encode(batch)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithDeadline(w.log.tries, deadline)
	defer cancel()
	return w.log.sender.send(ctx, w.partition, b)
}

// encode makes a record batch of the parts. Encoders are shared by all writers:
// their memory is that of the batches that are being encoded, not of all that are
// on their way.
func (w *writer) encode(batch []*part) ([]byte, error) {
	e := w.log.encoders.Get().(*batchEncoder)
	defer w.log.encoders.Put(e)
	e.reset()
	for _, p := range batch {
		p.encodeTo(e, w.log.writer)
	}
	b, err := e.seal()
	return bytes.Clone(b), err
}

// settle gives the parts of a written batch their offsets.
func (w *writer) settle(batch []*part, base int64) {
	next := messages.Offset(base)
	for _, p := range batch {
		next += messages.Offset(max(1, len(p.events)))
		p.of.settle(p.block, next, nil)
	}
	w.log.ends.raise(w.partition, next)
}

// expire fails what has been tried for long enough, in the batch and in the
// queue, and everything when the log is done trying. It returns the rest of the
// batch.
func (w *writer) expire(batch []*part, last error, maybe bool) []*part {
	stop := w.log.tries.Err() != nil
	now := time.Now()
	over := func(p *part) bool { return stop || !p.of.deadline.After(now) }
	cause := func() error {
		if last == nil {
			last = errors.New("its turn did not come")
		}
		if stop {
			return fmt.Errorf("the log was closed: %w", last)
		}
		return fmt.Errorf("given up after %v: %w", w.log.cfg.GiveUp, last)
	}
	rest := batch[:0]
	for _, p := range batch {
		if over(p) {
			p.of.settle(p.block, 0, w.failure(cause(), true))
			continue
		}
		rest = append(rest, p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue[:0]
	for _, p := range w.queue {
		if over(p) || p.of.gone.Load() {
			p.of.settle(p.block, 0, w.failure(cause(), false))
			continue
		}
		queue = append(queue, p)
	}
	clear(w.queue[len(queue):])
	w.queue = queue
	return rest
}

func fail(batch []*part, err error) {
	for _, p := range batch {
		p.of.settle(p.block, 0, err)
	}
}

// failure is what an appender is told. Whoever may send the same again is told so
// by ErrStopped.
func (w *writer) failure(err error, maybe bool) error {
	switch {
	case maybe:
		return fmt.Errorf("%w: write to partition %d: %w (it may be in the log)", messages.ErrStopped, w.partition, brief(err))
	case verdict(err) == outcomeTooLarge:
		return fmt.Errorf("%w: write to partition %d: %w; max.message.bytes of the topic says what it takes", messages.ErrTooLarge, w.partition, brief(err))
	case verdict(err) == outcomeRefused && !denied(err):
		return fmt.Errorf("write to partition %d: %w", w.partition, brief(err))
	}
	return fmt.Errorf("%w: write to partition %d: %w", messages.ErrStopped, w.partition, brief(err))
}

// outcome is what an attempt to write has come to.
type outcome int

const (
	outcomeWritten  outcome = iota
	outcomeUnknown          // to be tried again, as it is
	outcomeTooLarge         // not written; in smaller batches it may be
	outcomeRefused          // not written, and never will be
)

func verdict(err error) outcome {
	if err == nil {
		return outcomeWritten
	}
	var code kafkago.Error
	if !errors.As(err, &code) {
		return outcomeUnknown
	}
	switch code {
	case kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge:
		return outcomeTooLarge
	case kafkago.InvalidTopic, kafkago.InvalidRequiredAcks, kafkago.InvalidTimestamp, kafkago.UnsupportedVersion,
		kafkago.UnsupportedForMessageFormat, kafkago.PolicyViolation, kafkago.UnsupportedCompressionType, kafkago.InvalidRecord:
		return outcomeRefused
	}
	if denied(err) {
		return outcomeRefused
	}
	return outcomeUnknown
}

// denied tells an error of who we are from one of what was sent: the same request
// may pass once somebody has granted it.
func denied(err error) bool {
	var code kafkago.Error
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.UnsupportedSASLMechanism,
		kafkago.IllegalSASLState, kafkago.SASLAuthenticationFailed, kafkago.SecurityDisabled:
		return true
	}
	return false
}
