package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/messages"
)

const (
	pollEvery   = time.Second
	pollTimeout = 5 * time.Second
	// missingFor is how long a topic may be unknown to the brokers before it counts
	// as deleted.
	missingFor = 30 * time.Second
	// narrowFor is how long retention must be close behind a reader before it is
	// told.
	narrowFor = 10 * time.Second
	// heldFor is how long a transaction may keep records from being read before it
	// is told. Producers end theirs in seconds; a broker ends what was left after 15
	// minutes at the latest, unless told otherwise.
	heldFor = time.Minute
	// minHeadroom is the part of a partition that must lie behind its reader, so
	// that retention has a way to go.
	minHeadroom = 0.25
)

// watch asks every second who leads the partitions, where they begin and end,
// whether the topic is still the same one, and whether its retention comes close to
// what is not counted yet. It belongs to one goroutine.
type watch struct {
	log     *Log
	asking  atomic.Bool // leaders are asked where partitions begin and end
	missing time.Time   // since when the brokers do not know the topic
	narrow  time.Time   // since when retention is close
	warned  bool        // of that
	grown   bool        // warned that there are more partitions
	held    bool        // warned of a transaction that does not end
}

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.poll(ctx)
	}
}

func (w *watch) poll(ctx context.Context) {
	l := w.log
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	m, err := l.client.metadata(asking, l.cfg.Topic)
	switch {
	case errors.Is(err, errNoTopic):
		w.judge(nil, time.Now())
		return
	case err != nil:
		return // readers and writers say so
	}
	if w.judge(m, time.Now()); l.ends.lost() != nil {
		return
	}
	if !w.asking.Swap(true) {
		// Beside it: a leader that is silent must not keep from hearing of the next one.
		l.background.Go(func() {
			defer w.asking.Store(false)
			w.offsets(ctx, m)
		})
	}
	w.retention(time.Now())
	w.transactions(time.Now())
}

// offsets asks leaders where their partitions begin and end.
func (w *watch) offsets(ctx context.Context, m *topicMeta) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	l := w.log
	begins, ends := unknown(l.id.Partitions), unknown(l.id.Partitions)
	_ = l.client.offsets(ctx, m, begins, ends) // of some: the others keep theirs
	l.ends.learn(begins, ends)
	l.health.probed(ends)
}

// judge compares the topic with what it was; m is nil if the brokers do not know
// it.
func (w *watch) judge(m *topicMeta, now time.Time) {
	l := w.log
	switch was := l.client.topic.Load(); {
	case m == nil && w.missing.IsZero():
		w.missing = now
		l.ends.miss(now)
		l.cfg.Logger.Warn("kafka: the brokers do not know the topic any more", "topic", l.cfg.Topic)
	case m == nil && now.Sub(w.missing) >= missingFor:
		w.lose(fmt.Errorf("topic %s was deleted: the brokers have not known it for %v. Its records are gone: start over with another topic, or let it be made again, with an empty --store and --data (%w)",
			l.cfg.Topic, missingFor, messages.ErrLost))
	case m == nil:
	case was != nil && m.topicID != *was:
		w.lose(fmt.Errorf("topic %s was deleted and made again, its offsets mean other records now (its id is %s, was %s): start over with an empty --store and --data (%w)",
			l.cfg.Topic, hex.EncodeToString(m.topicID[:]), hex.EncodeToString(was[:]), messages.ErrLost))
	default:
		if !w.missing.IsZero() {
			w.missing = time.Time{}
			l.ends.miss(time.Time{})
			l.cfg.Logger.Info("kafka: the brokers know the topic again", "topic", l.cfg.Topic)
		}
		if m.partitions != l.id.Partitions && !w.grown {
			w.grown = true
			l.cfg.Logger.Error("kafka: the topic has another number of partitions now; what goes to new ones is not counted",
				"topic", l.cfg.Topic, "partitions", m.partitions, "counted", l.id.Partitions)
		}
	}
}

func (w *watch) lose(err error) {
	if w.log.ends.lost() == nil {
		w.log.ends.lose(err)
		w.log.fail(err)
	}
}

// retention warns once when the topic's beginning comes close behind a reader
// that lags.
func (w *watch) retention(now time.Time) {
	l := w.log
	worst, count := 0, 0
	least := 1.0
	begins, ends := make(messages.Position, l.id.Partitions), make(messages.Position, l.id.Partitions)
	l.Begins(begins)
	l.Ends(ends)
	for p := range ends {
		at, ok := l.reading.at(messages.Partition(p))
		if !ok {
			continue
		}
		// Of a partition that begins at 0 retention has deleted nothing yet.
		if h := headroom(begins[p], at, ends[p]); begins[p] > 0 && h < minHeadroom {
			if count++; h < least {
				worst, least = p, h
			}
		}
	}
	switch {
	case count == 0:
		w.narrow, w.warned = time.Time{}, false
	case w.narrow.IsZero():
		w.narrow = now
	case now.Sub(w.narrow) >= narrowFor && !w.warned:
		w.warned = true
		l.cfg.Logger.Warn("kafka: the topic's retention is close behind what is counted, and what it deletes first is lost: raise retention.ms and retention.bytes, or give crest more CPU",
			"topic", l.cfg.Topic, "partitions", count, "worst", worst, "headroom_percent", int(least*100))
	}
}

// transactions warns once of records that cannot be read because somebody's
// transaction before them does not end. What others write behind it is no lag, since
// brokers say that the partition ends before it. But what is written here raises
// Ends: whoever waits for that (after=, a keyed request) waits for the transaction.
func (w *watch) transactions(now time.Time) {
	first, count := 0, 0
	for p := range w.log.reading.parts {
		if since := w.log.reading.parts[p].heldSince(); !since.IsZero() && now.Sub(since) >= heldFor {
			if count++; count == 1 {
				first = p
			}
		}
	}
	if count > 0 && !w.held {
		w.log.cfg.Logger.Warn("kafka: a producer's transaction does not end, and what is behind it cannot be read until then",
			"topic", w.log.cfg.Topic, "partitions", count, "first", first, "longer_than", heldFor)
	}
	w.held = count > 0
}

// headroom is which part of a partition lies behind its reader: 1 for one that
// has read everything.
func headroom(begin, at, end messages.Offset) float64 {
	switch {
	case at >= end:
		return 1
	case at <= begin:
		return 0
	}
	return float64(at-begin) / float64(end-begin)
}
