package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/messages"
)

const (
	// maxLetters bounds the dead letters that wait, in bytes. Above it they go
	// straight to the file, or where there is none are dropped and logged.
	maxLetters = 16 << 20
	// letterTimeout is how long the topic is tried before the file takes over, and
	// letterPause how long the file then goes on without asking the topic.
	letterTimeout = 5 * time.Second
	letterPause   = 10 * time.Second
)

// letter is an event that cannot be counted: a whole record's value with the
// reason against one of its events.
type letter struct {
	partition  messages.Partition
	offset     int64
	index      int
	reason     string
	stamp      int64 // milliseconds
	key, value []byte
	headers    []messages.Header // as they came
}

func (l *letter) size() int {
	n := recordOverhead + len(l.reason) + len(l.key) + len(l.value)
	for i := range l.headers {
		n += len(l.headers[i].Key) + len(l.headers[i].Value)
	}
	return n
}

// deadLetters puts aside what cannot be counted: into a topic, and into a file
// where there is no topic or it cannot be written. Each letter is written at
// least once: after a crash those of what is read again are written again.
type deadLetters struct {
	cfg    *Config
	client *client
	topic  string // "": none
	file   *letterFile
	count  atomic.Uint64 // put aside since the start

	mu       sync.Mutex
	queue    []letter
	bytes    int
	added    uint64        // letters queued so far
	written  uint64        // of those
	progress chan struct{} // closed and replaced when written grows
	closed   bool

	poke, done chan struct{} // poke has cap 1; done is closed when run has ended
	// run's own.
	encoder *batchEncoder
	made    bool      // the topic was made or seen
	down    time.Time // the topic is not tried before
}

// deadTopic is the topic of dead letters, "" if there is none.
func (c *Config) deadTopic() string {
	switch c.DeadTopic {
	case "":
		return c.Topic + "-dead-letters"
	case "-":
		return ""
	}
	return c.DeadTopic
}

func newDeadLetters(cfg *Config, c *client) (*deadLetters, error) {
	d := &deadLetters{
		cfg: cfg, client: c, topic: cfg.deadTopic(),
		progress: make(chan struct{}), poke: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if cfg.DeadFile != "" {
		d.file = &letterFile{name: cfg.DeadFile, topic: cfg.Topic}
	}
	var err error
	d.encoder, err = newBatchEncoder(cfg.Compression)
	return d, err
}

// refuse puts events of a record aside. It keeps nothing of r, and waits for
// nothing but, at most, the file.
func (l *Log) refuse(p messages.Partition, r *record, refused []messages.Refusal) {
	for i := range refused {
		at := letter{
			partition: p, offset: r.offset, index: refused[i].Index, reason: refused[i].Reason, stamp: r.time,
			key: bytes.Clone(r.key), value: bytes.Clone(r.value), headers: cloneHeaders(r.headers),
		}
		l.dead.add(at)
	}
}

func cloneHeaders(headers []messages.Header) []messages.Header {
	own := make([]messages.Header, 0, len(headers))
	for i := range headers {
		own = append(own, messages.Header{Key: bytes.Clone(headers[i].Key), Value: bytes.Clone(headers[i].Value)})
	}
	return own
}

func (d *deadLetters) add(at letter) {
	d.count.Add(1)
	d.mu.Lock()
	if d.closed { // what is read now is read again
		d.mu.Unlock()
		return
	}
	if d.bytes+at.size() > maxLetters && len(d.queue) > 0 {
		d.mu.Unlock()
		d.toFile([]letter{at}, errors.New("too many wait for the topic"))
		return
	}
	d.queue, d.bytes, d.added = append(d.queue, at), d.bytes+at.size(), d.added+1
	d.mu.Unlock()
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// Settle waits until the dead letters of everything read so far are written. A
// snapshot that is kept after it leaves none behind.
func (l *Log) Settle(ctx context.Context) error {
	d := l.dead
	d.mu.Lock()
	want := d.added
	for d.written < want {
		progress := d.progress
		d.mu.Unlock()
		select {
		case <-progress:
		case <-d.done:
			return fmt.Errorf("settle dead letters: %w", errClosed)
		case <-ctx.Done():
			return fmt.Errorf("settle dead letters: %w", ctx.Err())
		}
		d.mu.Lock()
	}
	d.mu.Unlock()
	return nil
}

// run writes letters until finish; tries bounds what it tries.
func (d *deadLetters) run(tries context.Context) {
	defer close(d.done)
	for {
		batch, closed := d.take()
		if len(batch) == 0 {
			if closed {
				return
			}
			<-d.poke // finish pokes too
			continue
		}
		d.write(tries, batch)
		d.mu.Lock()
		d.written += uint64(len(batch))
		close(d.progress)
		d.progress = make(chan struct{})
		d.mu.Unlock()
	}
}

// finish writes what waits and ends run.
func (d *deadLetters) finish() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	select {
	case d.poke <- struct{}{}:
	default:
	}
	<-d.done
	return d.file.close()
}

// take is what fits into one batch.
func (d *deadLetters) take() (batch []letter, closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, size := 0, 0
	for n < len(d.queue) && (n == 0 || size+d.queue[n].size() <= d.cfg.MaxRecord) {
		size += d.queue[n].size()
		n++
	}
	batch = d.queue[:n:n]
	if d.queue = d.queue[n:]; len(d.queue) == 0 {
		d.queue = nil
	}
	d.bytes -= size
	return batch, d.closed
}

func (d *deadLetters) write(tries context.Context, batch []letter) {
	if d.topic == "" {
		d.toFile(batch, nil)
		return
	}
	for {
		if time.Now().Before(d.down) && d.file != nil {
			d.toFile(batch, nil) // the reason was logged
			return
		}
		err := d.toTopic(tries, batch)
		switch {
		case err == nil:
			if !d.down.IsZero() {
				d.down = time.Time{}
				d.cfg.Logger.Info("kafka: dead letters go to their topic again", "topic", d.topic)
			}
			return
		case verdict(err) == outcomeTooLarge && len(batch) > 1:
			d.write(tries, batch[:len(batch)/2])
			d.write(tries, batch[len(batch)/2:])
			return
		case verdict(err) == outcomeTooLarge, tries.Err() != nil, d.file != nil:
			if verdict(err) != outcomeTooLarge {
				d.down = time.Now().Add(letterPause)
			}
			d.toFile(batch, err)
			return
		}
		// There is nowhere else: they wait, and add drops what comes too much.
		d.cfg.Logger.Warn("kafka: dead letters wait for their topic", "topic", d.topic, "error", brief(err))
		select {
		case <-time.After(letterPause):
		case <-tries.Done():
		}
	}
}

// toTopic writes the batch to the topic, in letterTimeout.
func (d *deadLetters) toTopic(ctx context.Context, batch []letter) error {
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	d.encoder.reset()
	for i := range batch {
		at := &batch[i]
		partition, offset, index := strconv.Itoa(int(at.partition)), strconv.FormatInt(at.offset, 10), strconv.Itoa(at.index)
		headers := append([]messages.Header{
			{Key: []byte("reason"), Value: []byte(at.reason)},
			{Key: []byte("partition"), Value: []byte(partition)},
			{Key: []byte("offset"), Value: []byte(offset)},
			{Key: []byte("index"), Value: []byte(index)},
		}, at.headers...)
		d.encoder.add(at.stamp, []byte(partition+"/"+offset+"/"+index), at.value, headers)
	}
	b, err := d.encoder.seal()
	if err != nil {
		return err
	}
	for pause := shortestBackoff; ; pause = min(2*pause, longestBackoff) {
		if err = d.ready(ctx); err == nil {
			_, err = d.client.produce(ctx, d.topic, 0, b)
		}
		if verdict(err) != outcomeUnknown {
			return err
		}
		if topicUnknown(err) {
			d.made = false
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// ready makes the topic if it is missing.
func (d *deadLetters) ready(ctx context.Context) error {
	if d.made {
		return nil
	}
	_, err := d.client.metadata(ctx, d.topic)
	if errors.Is(err, errNoTopic) && !d.cfg.NoCreate {
		err = d.client.create(ctx, newTopic{
			name: d.topic, partitions: 1, replication: d.cfg.Replication, retention: d.cfg.Retention,
			configs: map[string]string{"cleanup.policy": "delete"},
		})
	}
	d.made = err == nil
	return err
}

// toFile writes the batch to the file; because says why, once for each change. An
// error leaves the letters in the log's own lines.
func (d *deadLetters) toFile(batch []letter, because error) {
	if d.file == nil {
		for i := range batch {
			at := &batch[i]
			d.cfg.Logger.Error("kafka: an event that cannot be counted could not be put aside either",
				"partition", at.partition, "offset", at.offset, "index", at.index, "reason", at.reason, "error", brief(because))
		}
		return
	}
	if because != nil {
		d.cfg.Logger.Warn("kafka: dead letters go to the file", "file", d.file.name, "topic", d.topic, "error", brief(because))
	}
	if err := d.file.append(batch); err != nil {
		d.cfg.Logger.Error("kafka: dead letters could not be written", "file", d.file.name, "letters", len(batch),
			"partition", batch[0].partition, "offset", batch[0].offset, "reason", batch[0].reason, "error", err)
	}
}
