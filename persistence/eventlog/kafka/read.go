package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

const (
	defaultBatchBytes = 1 << 20
	// Between two tries of a fetch that failed.
	shortestRetry = 50 * time.Millisecond
	longestRetry  = 2 * time.Second
	// readAgain is how often what came damaged is fetched again, and an offset out
	// of range is tried: a leader that has just been made may not know better.
	readAgain = 4
	// leastFetch is what is still asked for of a broker that is slow.
	leastFetch = 64 << 10
	// silentFor is how long a broker may be late with an answer before that is told. It
	// is waited for much longer: it may be slow.
	silentFor = 3 * time.Second
	// cursorsKept bounds the readers of one partition that go on where they were;
	// one more fetches anew.
	cursorsKept = 2
)

// reading is what Read needs to go on where it was.
type reading struct {
	routes  messages.Routes
	brokers brokerTime
	parts   []partReading
	health  health
	strays  strays
}

type partReading struct {
	next atomic.Int64 // 1 + the offset that was asked for last; 0: none

	mu   sync.Mutex
	idle []*cursor // at most cursorsKept; the last one was used last
	// Since when records have waited behind stable for the end of a transaction;
	// zero: none do.
	held   time.Time
	stable int64
}

// hear takes note of records that are there and cannot be read yet.
func (r *partReading) hear(f *fetched, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.highWatermark <= f.lastStable:
		r.held = time.Time{}
	case r.held.IsZero() || f.lastStable != r.stable:
		r.held, r.stable = now, f.lastStable
	}
}

// heldSince is since when records wait; zero: none do.
func (r *partReading) heldSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// at is from where a partition is read; ok is false if it is not.
func (r *reading) at(p messages.Partition) (at messages.Offset, ok bool) {
	next := r.parts[p].next.Load()
	return messages.Offset(next - 1), next > 0
}

// startReading makes Read possible, and watches the topic until Close.
func (l *Log) startReading() {
	l.reading.routes = messages.NewRoutes(&l.id)
	l.reading.parts = make([]partReading, l.id.Partitions)
	l.reading.health = health{
		logger: l.cfg.Logger, failing: map[messages.Partition]failure{},
		began: "kafka: reading failed and is tried again", over: "kafka: reading goes on",
	}
	w := &watch{log: l}
	l.background.Go(func() { w.run(l.open) })
}

// Read fills b with blocks of partition p from offset from on, and waits for one
// if there is none yet. It brings about b.MaxBytes of data, and ends behind a
// control block.
//
// It tries as long as brokers are away. An error is ctx's, wraps
// messages.ErrStopped if the log was closed, wraps messages.ErrLost if the topic
// does not have the offset any more, or says what cannot be read and where; then
// b is empty. What cannot be counted is put aside, never an error.
func (l *Log) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	b.Partition, b.Blocks, b.Next = p, b.Blocks[:0], from
	if int(p) >= l.id.Partitions {
		return fmt.Errorf("read: partition %d: want below %d", p, l.id.Partitions)
	}
	l.reading.parts[p].next.Store(int64(from) + 1)
	c := l.takeCursor(p, from)
	damaged := 0
	for {
		if l.open.Err() != nil {
			c.drop()
			return fmt.Errorf("read: %w", errClosed)
		}
		err := c.fill(b)
		if len(b.Blocks) > 0 {
			// An error behind them comes again when it is first.
			c.given = b.Next
			l.giveCursor(p, c)
			return nil
		}
		if errors.Is(err, errDamaged) && damaged < readAgain {
			damaged++
			l.reading.health.failed(p, err)
			err = pause(ctx, l.open, shortestRetry)
		}
		if err == nil {
			err = l.fetchInto(ctx, c)
		}
		if err != nil {
			c.drop()
			l.reading.health.forget(p)
			b.Blocks, b.Next = b.Blocks[:0], from
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("read partition %d of topic %s at offset %d: %w", p, l.cfg.Topic, c.at, err)
		}
	}
}

// ReadErr is nil, or says that a partition could not be read for a while, and
// why. It passes by itself.
func (l *Log) ReadErr() error {
	p, f, ok := l.reading.health.longest()
	if !ok {
		return nil
	}
	return fmt.Errorf("kafka: partition %d could not be read for %v: %w", p, time.Since(f.since).Round(time.Second), brief(f.last))
}

// Unread fills of, as far as it goes, with whether a partition could not be read
// for a while: how far it is behind is not known then.
func (l *Log) Unread(of []bool) { l.reading.health.lasting(of) }

// fetchInto gives a cursor something to read at its offset. It tries until it is
// there, or can be no more.
func (l *Log) fetchInto(ctx context.Context, c *cursor) error {
	c.drop()
	wait, outside := shortestRetry, 0
	// Whichever ends first ends the fetch.
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	for {
		if err := l.ends.lost(); err != nil {
			return err
		}
		asked, leader := time.Now(), l.client.leaders.of(int32(c.partition))
		f, err := l.fetchTold(both, c)
		switch {
		case err == nil:
			l.reading.health.fine(c.partition)
			l.ends.raise(c.partition, messages.Offset(max(0, f.lastStable)))
			l.reading.parts[c.partition].hear(f, time.Now())
			if len(f.records) > 0 {
				c.load(f)
				return nil
			}
			f.free()
			wait, outside = shortestRetry, 0
			if time.Since(asked) > l.cfg.FetchWait/2 {
				continue
			}
			// The broker does not wait for something to come.
			if err := pause(ctx, l.open, shortestRetry); err != nil {
				return err
			}
			continue
		case l.open.Err() != nil:
			return errClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errMoved):
			wait, outside = shortestRetry, 0
			continue
		case errors.Is(err, kafkago.OffsetOutOfRange):
			if outside++; outside >= readAgain {
				if lost := l.outOfRange(both, c); lost != nil {
					return lost
				}
			}
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
			// Less may come in time.
			c.want = max(c.want/2, leastFetch)
		}
		l.reading.health.failed(c.partition, explained(err))
		switch moved, err := l.rest(ctx, c.partition, leader, wait); {
		case err != nil:
			return err
		case moved:
			wait, outside = shortestRetry, 0
		default:
			wait = min(2*wait, longestRetry)
		}
	}
}

// fetchTold fetches at a cursor's offset. While no answer comes that is overdue the
// partition counts as one that cannot be read.
func (l *Log) fetchTold(ctx context.Context, c *cursor) (*fetched, error) {
	var mu sync.Mutex
	over := false
	due := time.Now().Add(l.cfg.FetchWait)
	late := time.AfterFunc(l.cfg.FetchWait+silentFor, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			l.reading.health.failedSince(c.partition, due,
				fmt.Errorf("broker %d does not answer", l.client.leaders.of(int32(c.partition))))
		}
	})
	end := func() {
		late.Stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
	defer end()
	return l.client.fetchTelling(ctx, c.partition, c.at, c.want, l.cfg.FetchWait, end)
}

// rest is pause, but for the time when the partition has another leader than the one
// asked: that one is not waited for.
func (l *Log) rest(ctx context.Context, p messages.Partition, asked int32, d time.Duration) (moved bool, err error) {
	resting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer l.client.leaders.whenMoved(int32(p), asked, func() { cancel(errMoved) })()
	err = pause(resting, l.open, d)
	if err != nil && context.Cause(resting) == errMoved {
		return true, nil
	}
	return false, err
}

// outOfRange says what became of an offset that its leader does not have. It is nil
// if nothing can be heard of that, or the partition does have it: who answered may
// not have known better.
func (l *Log) outOfRange(ctx context.Context, c *cursor) error {
	begin, end, err := l.client.watermarksOf(ctx, c.partition)
	switch {
	case err != nil || c.at >= begin && c.at <= end:
		return nil
	case c.at < begin:
		return fmt.Errorf("the partition begins at %d now: retention, or somebody, has deleted %d records that were not counted: %w",
			begin, begin-c.at, messages.ErrLost)
	default:
		return fmt.Errorf("the partition ends at %d now: the brokers have lost records that were counted: %w", end, messages.ErrLost)
	}
}

// pause waits, or says what ended meanwhile.
func pause(ctx, open context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-open.Done():
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeCursor is one that stands at the offset: what it has fetched is read on.
func (l *Log) takeCursor(p messages.Partition, from messages.Offset) *cursor {
	r := &l.reading.parts[p]
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.idle {
		if c.given == from {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			return c
		}
	}
	if n := len(r.idle); n == cursorsKept {
		// The one that has not been used for longest.
		c := r.idle[0]
		r.idle = append(r.idle[:0], r.idle[1:]...)
		c.drop()
		c.seek(from)
		return c
	}
	return l.newCursor(p, from)
}

func (l *Log) giveCursor(p messages.Partition, c *cursor) {
	r := &l.reading.parts[p]
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) < cursorsKept {
		r.idle = append(r.idle, c)
		return
	}
	c.drop()
}

// lastStamp is the arrival of the records before end, the partition's: 0 if there
// are none there. It may be that of a transaction's marker.
func (c *client) lastStamp(ctx context.Context, p messages.Partition, end messages.Offset) (messages.Micros, error) {
	if end == 0 {
		return 0, nil
	}
	f, err := c.fetch(ctx, p, end-1, c.cfg.FetchBytes, 0)
	if err != nil {
		return 0, err
	}
	defer f.free()
	newest := messages.Micros(0)
	for rest := f.records; len(rest) > 0; {
		var h batchHead
		if h, rest, err = nextBatch(rest); err != nil {
			break // it is read again, and said then
		}
		stamp := messages.Micros(h.maxTime) * messages.Millisecond
		if !h.appendTime {
			// A producer's word, which may be anything.
			stamp = min(stamp, c.cfg.Now())
		}
		newest = max(newest, stamp)
	}
	return newest, nil
}
