package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

// Times that ListOffsets knows.
const (
	atBegin = -2
	atEnd   = -1
)

// watermarks are where the partitions begin and end, as last heard: the watch
// asks for all, fetches and writes add what they learn.
type watermarks struct {
	mu           sync.Mutex
	begins, ends messages.Position
	gone         error     // why there is no such topic any more
	missing      time.Time // since when the brokers do not know it; zero: they do
}

func newWatermarks(begins, ends messages.Position) *watermarks {
	return &watermarks{begins: slices.Clone(begins), ends: slices.Clone(ends)}
}

// Ends fills pos, as far as it goes, with the offset behind the last record of
// each partition that can be read, as last heard.
func (l *Log) Ends(pos messages.Position) {
	l.ends.mu.Lock()
	defer l.ends.mu.Unlock()
	copy(pos, l.ends.ends)
}

// Begins fills pos, as far as it goes, with the offset of the first record that
// each partition still has, as last heard.
func (l *Log) Begins(pos messages.Position) {
	l.ends.mu.Lock()
	defer l.ends.mu.Unlock()
	copy(pos, l.ends.begins)
}

// raise tells that a partition reaches up to an offset.
func (w *watermarks) raise(p messages.Partition, end messages.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[p] = max(w.ends[p], end)
}

// learn takes what brokers said; -1 where they did not.
func (w *watermarks) learn(begins, ends []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.ends {
		w.begins[p] = max(w.begins[p], messages.Offset(max(0, begins[p])))
		w.ends[p] = max(w.ends[p], messages.Offset(max(0, ends[p])))
	}
}

// lose says that the topic is not there any more.
func (w *watermarks) lose(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = err
}

// miss says since when the brokers do not know the topic; zero: they do.
func (w *watermarks) miss(since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing = since
}

// unknown is nil, or that the brokers have not known the topic for a while.
func (w *watermarks) unknown(topic string, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing.IsZero() || now.Sub(w.missing) < patience {
		return nil
	}
	return fmt.Errorf("the brokers do not know topic %s, since %v", topic, now.Sub(w.missing).Round(time.Second))
}

// lost is why the topic is not there any more; nil while it is.
func (w *watermarks) lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// watermarks are where all partitions of the topic begin and end: behind the
// last record of which it is known whether it was aborted.
func (c *client) watermarks(ctx context.Context, partitions int) (begins, ends messages.Position, err error) {
	m, err := c.metadata(ctx, c.cfg.Topic)
	if err != nil {
		return nil, nil, err
	}
	first, last := unknown(partitions), unknown(partitions)
	if err := c.offsets(ctx, m, first, last); err != nil {
		return nil, nil, fmt.Errorf("ask for offsets: %w", err)
	}
	begins, ends = make(messages.Position, partitions), make(messages.Position, partitions)
	for p := range partitions {
		begins[p], ends[p] = messages.Offset(first[p]), messages.Offset(last[p])
	}
	return begins, ends, nil
}

// watermarksOf is where one partition begins and ends, by its leader.
func (c *client) watermarksOf(ctx context.Context, p messages.Partition) (begin, end messages.Offset, err error) {
	ctx, cancel := context.WithTimeout(ctx, watermarksTimeout)
	defer cancel()
	m, err := c.metadata(ctx, c.cfg.Topic)
	if err != nil {
		return 0, 0, err
	}
	if int(p) >= len(m.leaders) || m.leaders[p] < 0 {
		return 0, 0, kafkago.LeaderNotAvailable
	}
	first, last := unknown(int(p)+1), unknown(int(p)+1)
	if err := c.offsetsBy(ctx, m.leaders[p], []int32{int32(p)}, first, last); err != nil {
		return 0, 0, err
	}
	if first[p] < 0 || last[p] < 0 {
		return 0, 0, errNoOffsets
	}
	return messages.Offset(first[p]), messages.Offset(last[p]), nil
}

// watermarksTimeout is how long watermarksOf may take.
const watermarksTimeout = 5 * time.Second

func unknown(partitions int) []int64 {
	list := make([]int64, partitions)
	for p := range list {
		list[p] = -1
	}
	return list
}

// offsets asks each leader for its partitions. It fills what it can hear, and
// says why not all.
func (c *client) offsets(ctx context.Context, m *topicMeta, begins, ends []int64) error {
	by := map[int32][]int32{}
	var failed []error
	for p := range begins {
		if p >= len(m.leaders) || m.leaders[p] < 0 {
			failed = append(failed, fmt.Errorf("partition %d: %w", p, kafkago.LeaderNotAvailable))
			continue
		}
		by[m.leaders[p]] = append(by[m.leaders[p]], int32(p))
	}
	for leader, partitions := range by {
		if err := c.offsetsBy(ctx, leader, partitions, begins, ends); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// offsetsBy asks one leader.
func (c *client) offsetsBy(ctx context.Context, leader int32, partitions []int32, begins, ends []int64) error {
	err := c.listOffsets(ctx, leader, partitions, atBegin, begins)
	if err == nil {
		err = c.listOffsets(ctx, leader, partitions, atEnd, ends)
	}
	if err != nil {
		return fmt.Errorf("broker %d: %w", leader, err)
	}
	return nil
}

var errNoOffsets = errors.New("the broker's answer cannot be read")

func (c *client) listOffsets(ctx context.Context, leader int32, partitions []int32, at int64, into []int64) error {
	x := &exchange{api: apiListOffsets, version: 5, route: toBroker(leader)}
	var w wireWriter
	w.int32(-1) // no replica
	w.int8(1)   // committed only
	w.array(1)
	w.str(c.cfg.Topic)
	w.array(len(partitions))
	for _, p := range partitions {
		w.int32(p)
		w.int32(-1) // any leader's epoch
		w.int64(at)
	}
	x.body = w.b
	if err := c.ask(ctx, x, 0); err != nil {
		return err
	}
	return parseOffsets(x, into)
}

func parseOffsets(x *exchange, into []int64) error {
	r := x.reader()
	r.int32() // throttled for
	var failed error
	for n := r.array(); n > 0 && !r.bad; n-- {
		r.str()
		for n := r.array(); n > 0 && !r.bad; n-- {
			p, code := r.int32(), kafkago.Error(r.int16())
			r.int64() // time
			offset := r.int64()
			r.int32() // leader's epoch
			switch {
			case code != 0:
				failed = fmt.Errorf("partition %d: %w", p, code)
			case p >= 0 && int(p) < len(into) && !r.bad:
				into[p] = offset
			}
		}
	}
	if r.bad {
		return errNoOffsets
	}
	return failed
}
