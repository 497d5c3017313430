package kafka

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/crestdb/crest/messages"
)

const (
	// drainTimeout is how long Close lets what waits be written.
	drainTimeout = 3 * time.Second
	// lookers is how many partitions are looked at side by side at the start.
	lookers = 8
)

// Log is an open log. Its methods may be called by any number of goroutines.
type Log struct {
	cfg    Config
	client *client
	id     messages.LogIdentity
	known  *known // what the store says of the topic
	writer messages.WriterID
	stamp  messages.Micros // of the newest record at the start

	writers  []*writer // one per partition
	encoders sync.Pool // of *batchEncoder
	sender   *sender
	waiting  *semaphore.Weighted
	health   health
	dead     *deadLetters
	ends     *watermarks
	reading  reading

	toldNewer atomic.Bool // that a later crest writes to the topic

	// open ends when Close begins, tries when nothing is tried any more.
	open, tries         context.Context
	close, endTries     context.CancelFunc
	writing, background sync.WaitGroup

	mu     sync.Mutex
	failed error // why nothing is written any more
	closed bool
}

// Open connects to the brokers, makes the topic if it is missing, and checks that
// it is the one which the store has been used with. It tries until ctx ends where
// brokers do not answer.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fillIn()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	l, err := open(ctx, cfg, c)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open log kafka://%s: %w", cfg.where(), err)
	}
	for _, w := range l.writers {
		l.writing.Go(w.run)
	}
	l.background.Go(func() { l.sender.run(l.tries, &l.background) })
	l.background.Go(func() { l.dead.run(l.open, l.tries) })
	l.startReading()
	return l, nil
}

func open(ctx context.Context, cfg Config, c *client) (*Log, error) {
	if err := alone(ctx, &cfg); err != nil {
		return nil, err
	}
	meta, err := topicOf(ctx, &cfg, c)
	if err != nil {
		return nil, err
	}
	var begins, ends messages.Position
	err = again(ctx, func() (err error) {
		begins, ends, err = c.watermarks(ctx, meta.partitions)
		return err
	})
	if err != nil {
		return nil, brief(err)
	}
	k, err := agree(ctx, &cfg, meta, begins)
	if err != nil {
		return nil, err
	}
	if err := c.limit(ctx, &cfg, meta.partitions); err != nil {
		return nil, brief(err)
	}
	l := &Log{
		cfg: cfg, client: c, known: k, id: k.identity(&cfg),
		waiting: semaphore.NewWeighted(cfg.MaxWaiting),
		health: health{
			logger: cfg.Logger, failing: map[messages.Partition]failure{},
			began: "kafka: a write failed and is tried again", over: "kafka: no write fails any more",
		},
		sender: newSender(c, cfg.Topic),
		ends:   newWatermarks(begins, ends),
	}
	if _, err := rand.Read(l.writer[:]); err != nil {
		return nil, fmt.Errorf("make a writer's id: %w", err)
	}
	if l.stamp, err = newestStamp(ctx, c, begins, ends); err != nil {
		return nil, brief(err)
	}
	if l.dead, err = newDeadLetters(&l.cfg, c); err != nil {
		return nil, err
	}
	l.open, l.close = context.WithCancel(context.Background())
	l.tries, l.endTries = context.WithCancel(context.Background())
	l.encoders.New = func() any {
		e, err := newBatchEncoder(cfg.Compression)
		if err != nil {
			panic("kafka: a compression that was checked: " + err.Error())
		}
		return e
	}
	for p := range meta.partitions {
		l.writers = append(l.writers, newWriter(l, messages.Partition(p)))
	}
	return l, nil
}

// again calls f until it succeeds, its error is one that does not pass, or ctx
// ends.
func again(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || !passes(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return err // it says more than ctx's
		}
	}
}

// newestStamp is the largest arrival among the partitions' last records.
func newestStamp(ctx context.Context, c *client, begins, ends messages.Position) (messages.Micros, error) {
	var mu sync.Mutex
	newest := messages.Micros(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookers)
	for p := range ends {
		if ends[p] <= begins[p] {
			continue
		}
		g.Go(func() error {
			var stamp messages.Micros
			err := again(ctx, func() (err error) {
				stamp, err = c.lastStamp(ctx, messages.Partition(p), ends[p])
				return err
			})
			if err != nil {
				return fmt.Errorf("look at the end of partition %d: %w", p, err)
			}
			mu.Lock()
			defer mu.Unlock()
			newest = max(newest, stamp)
			return nil
		})
	}
	err := g.Wait()
	return newest, err
}

// Identity is what the topic and the store say that the log is.
func (l *Log) Identity() messages.LogIdentity { return l.id }

// LastStamp is the largest arrival of the partitions' last records as they were
// when the log was opened, 0 if there were none. No clock that stamps new frames
// may be below it.
func (l *Log) LastStamp() messages.Micros { return l.stamp }

// Started fills pos, one entry per partition, with the offsets that counting
// began at: those that the topic began at when the store was first used with it.
// A partition without a snapshot begins there. If it now Begins later, what lies
// between is lost (messages.ErrLost).
func (l *Log) Started(pos messages.Position) { copy(pos, l.known.Begins) }

// Older fills pos with zeros: what the topic keeps is the brokers' to say.
func (l *Log) Older(_ messages.Micros, pos messages.Position) { clear(pos) }

// Trim does nothing: so is what it drops.
func (l *Log) Trim(messages.Position) error { return nil }

// Err is nil while the log takes frames, else an error that wraps
// messages.ErrStopped and says why. That brokers are away passes by itself.
func (l *Log) Err() error {
	if err := l.stopped(); err != nil {
		return err
	}
	if l.open.Err() != nil {
		return errClosed
	}
	if err := l.ends.unknown(l.cfg.Topic, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", messages.ErrStopped, err)
	}
	return l.health.err()
}

// stopped is why nothing is written any more, if fail was called.
func (l *Log) stopped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// fail stops the taking of frames for good: the topic is not what it was, and
// another one's partitions would take them.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = fmt.Errorf("%w any more: %w", messages.ErrStopped, brief(err))
		l.cfg.Logger.Error("kafka: no events are taken or counted any more", "topic", l.cfg.Topic, "error", brief(err))
	}
}

// DeadLetters is how many events were put aside since the start.
func (l *Log) DeadLetters() uint64 { return l.dead.count.Load() }

// Close takes no more frames, lets what waits be written for a few seconds, and
// ends readers (with an error that wraps messages.ErrStopped) and connections.
// Closing again does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.close()
	l.mu.Unlock()

	limit := time.AfterFunc(drainTimeout, l.endTries)
	l.writing.Wait()
	err := l.dead.finish()
	limit.Stop()
	l.endTries()
	l.background.Wait()
	l.client.close()
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}
