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

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

const (
	// maxLetters bounds the dead letters that wait, in bytes. Above it they go
	// straight to the file, or where there is none are dropped and logged.
	maxLetters = 16 << 20
	// letterTimeout is how long the topic is tried before the file takes over, and
	// letterPause how long it is then left alone.
	letterTimeout = 5 * time.Second
	letterPause   = 10 * time.Second
)

// lettersOfRecord bounds the letters of one record. Behind so many refused events
// of it one more letter stands for all the others.
const lettersOfRecord = 100

// copiesOfRecord bounds what the letters of one record hold of it together, in
// bytes. Above it only the first one does.
const copiesOfRecord = 64 << 10

// letter is an event that cannot be counted, with the reason and what the record
// holds; or with the name of the record's first letter, which has that.
type letter struct {
	partition messages.Partition
	offset    int64
	index     int
	events    int // that it stands for, mostly 1
	reason    string
	stamp     int64   // milliseconds
	first     int     // index of the record's first letter
	record    *record // nil: the first one has it
}

func (l *letter) size() int {
	n := recordOverhead + len(l.reason)
	if l.record == nil {
		return n
	}
	n += len(l.record.key) + len(l.record.value)
	for _, h := range l.record.headers {
		n += len(h.Key) + len(h.Value)
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

	timeout, pause time.Duration // letterTimeout, letterPause

	mu       sync.Mutex
	queue    []letter
	bytes    int
	added    uint64                        // letters queued so far
	written  uint64                        // of those, in their order
	last     map[messages.Partition]uint64 // the number, as added counts, of each partition's last letter
	stuck    error                         // why letters wait, with no file to go to; nil: they do not
	progress chan struct{}                 // closed and replaced when written grows, or letters are stuck
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
		cfg: cfg, client: c, topic: cfg.deadTopic(), timeout: letterTimeout, pause: letterPause, last: map[messages.Partition]uint64{},
		progress: make(chan struct{}), poke: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if cfg.DeadFile != "" {
		d.file = newLetterFile(cfg.DeadFile, cfg.Topic)
	}
	var err error
	d.encoder, err = newBatchEncoder(cfg.Compression)
	return d, err
}

// refuse puts events of a record aside. It keeps nothing of r, and waits for
// nothing but, at most, the file, and not for one that hangs.
func (l *Log) refuse(p messages.Partition, r *record, refused []messages.Refusal) {
	letters := make([]letter, 0, min(len(refused), lettersOfRecord+1))
	own := r.clone()
	whole := letter{record: own}
	all := len(refused)*whole.size() <= copiesOfRecord+len(refused)*recordOverhead
	for i := range refused {
		at := letter{
			partition: p, offset: r.offset, index: refused[i].Index, events: 1 + refused[i].More, reason: refused[i].Reason,
			stamp: r.time, first: refused[0].Index,
		}
		if i == 0 || all {
			at.record = own
		}
		if i == lettersOfRecord {
			at.events = messages.RefusedEvents(refused[i:])
			at.reason = fmt.Sprintf("%s (the first of %d more events of this record that cannot be counted)", at.reason, at.events)
			letters = append(letters, at)
			break
		}
		letters = append(letters, at)
	}
	l.dead.add(letters, messages.RefusedEvents(refused))
}

// clone is a record of its own.
func (r *record) clone() *record {
	own := &record{offset: r.offset, time: r.time, key: bytes.Clone(r.key), value: bytes.Clone(r.value)}
	for i := range r.headers {
		own.headers = append(own.headers, messages.Header{Key: bytes.Clone(r.headers[i].Key), Value: bytes.Clone(r.headers[i].Value)})
	}
	return own
}

// add queues the letters of one record, at least one, of so many events.
func (d *deadLetters) add(letters []letter, events int) {
	d.count.Add(uint64(events))
	size := 0
	for i := range letters {
		size += letters[i].size()
	}
	d.mu.Lock()
	if d.closed { // what is read now is read again
		d.mu.Unlock()
		return
	}
	if d.bytes+size > maxLetters && len(d.queue) > 0 {
		d.mu.Unlock()
		d.overflow(letters)
		return
	}
	d.queue, d.bytes, d.added = append(d.queue, letters...), d.bytes+size, d.added+uint64(len(letters))
	d.last[letters[0].partition] = d.added
	d.mu.Unlock()
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// overflow puts letters aside for which there is no room. Partitions are not held up
// for them: those that cannot be written are given up at once.
func (d *deadLetters) overflow(letters []letter) {
	err := errors.New("too many wait")
	if d.file != nil {
		if err = d.toFile(letters, err); err == nil {
			return
		}
	}
	d.giveUp(letters, err)
}

// Settle waits until the dead letters of what was read of a partition so far are
// written. A snapshot of it that is kept after it leaves none behind. An error is
// ctx's, wraps messages.ErrStopped if the log was closed, or says why some wait
// for their topic: with no file to go to that may be for long, and nobody is to
// wait with them.
func (l *Log) Settle(ctx context.Context, p messages.Partition) error {
	if err := l.dead.settle(ctx, p); err != nil {
		return fmt.Errorf("settle dead letters: %w", err)
	}
	return nil
}

func (d *deadLetters) settle(ctx context.Context, p messages.Partition) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for want := d.last[p]; d.written < want; {
		if d.stuck != nil {
			return fmt.Errorf("they wait for %w", d.stuck)
		}
		progress := d.progress
		d.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-d.done:
			err = errClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
		if d.mu.Lock(); err != nil {
			return err
		}
	}
	return nil
}

// run writes letters until finish; tries bounds what it tries. Behind the end of
// open what fails is not tried again, and what comes after it is not settled.
func (d *deadLetters) run(open, tries context.Context) {
	defer close(d.done)
	for settled := true; ; {
		batch, closed := d.take()
		if len(batch) == 0 {
			if closed {
				return
			}
			<-d.poke // finish pokes too
			continue
		}
		if settled = d.write(open, tries, batch) && settled; settled {
			d.move(len(batch), nil)
		}
	}
}

// move accounts for letters that are written, or for the error that keeps them.
func (d *deadLetters) move(written int, stuck error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written, d.stuck = d.written+uint64(written), stuck
	close(d.progress)
	d.progress = make(chan struct{})
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

// write returns when the batch is in the topic, in the file, or given up because
// the topic refuses what is in it and there is no file. It is false where the end
// came first: what is left then is read again.
func (d *deadLetters) write(open, tries context.Context, batch []letter) bool {
	for {
		last := open.Err() != nil
		var err error
		if d.topic != "" && (d.file == nil || !time.Now().Before(d.down)) {
			err = d.toTopic(tries, batch)
			switch {
			case err == nil:
				if !d.down.IsZero() {
					d.down = time.Time{}
					d.cfg.Logger.Info("kafka: dead letters go to their topic again", "topic", d.topic)
				}
				return true
			case ofTheLetters(err) && len(batch) > 1:
				first := d.write(open, tries, batch[:len(batch)/2])
				return d.write(open, tries, batch[len(batch)/2:]) && first
			case ofTheLetters(err): // its neighbours go to the topic
				if d.file == nil {
					d.giveUp(batch, err)
					return true
				}
			default:
				d.down = time.Now().Add(d.pause)
			}
			err = fmt.Errorf("topic %s: %w", d.topic, brief(err))
		}
		if d.file != nil {
			if err = d.toFile(batch, err); err == nil {
				return true
			}
		}
		if last {
			d.giveUp(batch, err)
			return false
		}
		// There is nowhere else: they wait, and add drops what comes too much.
		d.cfg.Logger.Warn("kafka: dead letters wait, and snapshots of their partitions with them", "error", err)
		d.move(0, err)
		select {
		case <-time.After(d.pause):
		case <-open.Done():
		}
	}
}

// ofTheLetters tells an error of what is in a batch from one of the topic: another
// batch may be written.
func ofTheLetters(err error) bool {
	return verdict(err) == outcomeTooLarge || errors.Is(err, kafkago.InvalidRecord) || errors.Is(err, kafkago.InvalidTimestamp)
}

// toTopic writes the batch to the topic, in d.timeout.
func (d *deadLetters) toTopic(ctx context.Context, batch []letter) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	d.encoder.reset()
	for i := range batch {
		batch[i].encodeTo(d.encoder)
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

// encodeTo adds the letter to a batch. Its key is the event's, so that what comes
// twice can be told.
func (l *letter) encodeTo(e *batchEncoder) {
	partition, offset := strconv.Itoa(int(l.partition)), strconv.FormatInt(l.offset, 10)
	name := func(index int) []byte { return []byte(partition + "/" + offset + "/" + strconv.Itoa(index)) }
	headers := []messages.Header{
		{Key: []byte("reason"), Value: []byte(l.reason)},
		{Key: []byte("partition"), Value: []byte(partition)},
		{Key: []byte("offset"), Value: []byte(offset)},
		{Key: []byte("index"), Value: []byte(strconv.Itoa(l.index))},
		{Key: []byte("timestamp"), Value: []byte(strconv.FormatInt(l.stamp, 10))},
	}
	if l.events > 1 {
		headers = append(headers, messages.Header{Key: []byte("events"), Value: []byte(strconv.Itoa(l.events))})
	}
	value := []byte{}
	if l.record != nil {
		value, headers = l.record.value, append(headers, l.record.headers...)
	} else {
		headers = append(headers, messages.Header{Key: []byte("value-in"), Value: name(l.first)})
	}
	e.add(l.stamp, name(l.index), value, headers)
}

// ready makes the topic if it is missing. It keeps letters by when they came: the
// stamps of what cannot be counted may be of any time, and it would drop or refuse
// those.
func (d *deadLetters) ready(ctx context.Context) error {
	if d.made {
		return nil
	}
	_, err := d.client.metadata(ctx, d.topic)
	if errors.Is(err, errNoTopic) && !d.cfg.NoCreate {
		_, err = d.client.create(ctx, newTopic{
			name: d.topic, partitions: 1, replication: d.cfg.Replication, retention: d.cfg.Retention,
			configs: map[string]string{"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"},
		})
	}
	d.made = err == nil
	return err
}

// toFile writes the batch to the file; because says why not to the topic, if it is
// not known already.
func (d *deadLetters) toFile(batch []letter, because error) error {
	if because != nil {
		d.cfg.Logger.Warn("kafka: dead letters go to the file", "file", d.file.name, "error", because)
	}
	if err := d.file.append(batch); err != nil {
		return fmt.Errorf("file %s: %w", d.file.name, err)
	}
	return nil
}

// giveUp leaves letters in the log's own lines, one for each partition.
func (d *deadLetters) giveUp(batch []letter, why error) {
	for len(batch) > 0 {
		n, at := 1, &batch[0]
		for n < len(batch) && batch[n].partition == at.partition {
			n++
		}
		d.cfg.Logger.Error("kafka: events that cannot be counted could not be put aside either", "partition", at.partition,
			"letters", n, "from", at.offset, "to", batch[n-1].offset, "reason_of_the_first", at.reason, "error", brief(why))
		batch = batch[n:]
	}
}
