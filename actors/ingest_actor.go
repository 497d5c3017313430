package actors

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// Log is what the actors need of the event log. Only durable entries can be
// read.
type Log interface {
	// Read fills b with blocks of partition p from offset from on; it waits
	// until there is one or ctx ends.
	Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error
	// Append makes a frame durable and fills pos (one entry a partition).
	Append(ctx context.Context, f *messages.Frame, pos messages.Position) error
	// Ends fills pos with the offset behind each partition's last durable entry.
	Ends(pos messages.Position)
}

const (
	// readAhead batches circulate between the reader and the ingest actor: one
	// is filled while the other is counted.
	readAhead = 2
	// deltasPerShard circulate between the ingest actor and its shard: one
	// fills while one is applied, a third is ready when both are busy.
	deltasPerShard = 3
	// Between two reads of a partition passes readPause for each record that
	// the first one brought, at most readPauseMost, so that what comes meanwhile
	// shares the price of a flush. The first event after a pause, and one every
	// now and then, is read at once; a backlog is read without pauses, and so is
	// what somebody waits for.
	readPause     = 2 * time.Millisecond
	readPauseMost = 40 * time.Millisecond
	// maxDeltaRows bounds a delta; past it the ingest actor stops reading until
	// the shard has taken one.
	maxDeltaRows = 1 << 13
)

// ingestActor reads one partition from the shard's next offset, counts what it
// reads into deltas and hands them to the shard. A delta comes back as the
// credit for the next: it is flushed as soon as the shard has taken the last
// one, so flushes are small when the node is idle and large when it is busy.
type ingestActor struct {
	partition messages.Partition
	core      *ingest
	lost      error // why nothing of the partition can be counted; nil: it can
	log       Log
	shard     address
	progress  *progress
	hurry     hurry
	logger    *slog.Logger

	filling  *window.Delta
	dirty    bool // filling has something that the shard must hear of
	cut      *cut // asked for, to go with the next delta; nil: none
	halted   bool // for ever: what is filling has a part of a block that failed
	spare    []*window.Delta
	inFlight int

	reader *reader
	held   []*messages.Batch // counted, but not given back while filling is large
}

// keyAsk asks the home partition's ingest actor for an Idempotency-Key, as a
// frame with this stamp would meet it.
type keyAsk struct {
	query *messages.KeyQuery
	stamp messages.Micros
}

func (a *ingestActor) receive(m mail) {
	switch b := m.body.(type) {
	case started:
		a.filling = new(window.Delta)
		for range deltasPerShard - 1 {
			a.spare = append(a.spare, new(window.Delta))
		}
		if a.lost != nil {
			a.fail(a.lost)
			return
		}
		a.reader = startReader(a.partition, a.core.next, a.core.settings, a.log, a.hurry, m.inbox())
	case *messages.Batch:
		a.take(m, b)
	case *window.Delta:
		b.Reset()
		a.spare = append(a.spare, b)
		a.inFlight--
		a.flush(m)
	case *cut:
		// At most one is on its way; it goes at once, if need be with nothing.
		a.cut, a.dirty = b, true
		a.flush(m)
	case keyAsk:
		v := a.core.verdict(b.query, b.stamp)
		m.answer(&v)
	case readFailed:
		a.fail(b.err)
	case stopping:
		if a.reader != nil {
			a.reader.stop()
		}
		a.core.dedup.close()
	}
}

func (a *ingestActor) failed(cause error) {
	a.progress.fail(a.partition, cause)
	if a.reader != nil {
		a.reader.stop()
	}
}

func (a *ingestActor) fail(err error) {
	a.halted = true
	a.logger.Error("partition stopped; reads of it fail until the node is restarted", "partition", a.partition, "offset", a.core.next, "error", err)
	a.progress.fail(a.partition, err)
}

func (a *ingestActor) take(m mail, b *messages.Batch) {
	for i := range b.Blocks {
		if err := a.core.take(&b.Blocks[i], a.filling); err != nil {
			a.fail(err) // the batch is not given back: reading ends here
			return
		}
	}
	b.Settings = a.core.settings // for the reader, who may wait for them
	a.dirty = true
	a.held = append(a.held, b)
	a.flush(m)
}

// flush hands the filling delta over if the shard has taken the last one, or
// if it is full and a spare one is left; then it lets the reader go on.
func (a *ingestActor) flush(m mail) {
	if a.halted {
		return
	}
	full := len(a.filling.Rows) >= maxDeltaRows
	if a.dirty && len(a.spare) > 0 && (a.inFlight == 0 || full) {
		d := a.filling
		a.core.seal(d)
		if a.cut != nil {
			a.cut.ingest = a.core.freeze()
			d.Marker, a.cut = a.cut, nil
		}
		d.Dedup, d.DedupNext = a.core.bytes()
		d.Combine = a.core.combine.bytes()
		m.request(a.shard, d)
		a.inFlight++
		a.filling, a.spare = a.spare[len(a.spare)-1], a.spare[:len(a.spare)-1]
		a.dirty, full = false, false
	}
	if full {
		return
	}
	for _, b := range a.held {
		a.reader.give(b)
	}
	a.held = a.held[:0]
}

// reader is the goroutine that reads one partition for its ingest actor.
type reader struct {
	batches chan *messages.Batch // free ones; there are readAhead in all, so a send never waits
	cancel  context.CancelFunc
	done    chan struct{}
}

// hurry ends a reader's pause, or the next one: somebody waits for what is in
// the log.
type hurry chan struct{} // cap 1: once is enough

func (h hurry) now() {
	select {
	case h <- struct{}{}:
	default:
	}
}

// readFailed tells the ingest actor that its partition cannot be read.
type readFailed struct{ err error }

func startReader(p messages.Partition, from messages.Offset, settings messages.Settings, log Log, h hurry, send func(any)) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{batches: make(chan *messages.Batch, readAhead), cancel: cancel, done: make(chan struct{})}
	for range readAhead {
		r.batches <- new(messages.Batch)
	}
	go r.run(ctx, p, from, settings, log, h, send)
	return r
}

func (r *reader) run(ctx context.Context, p messages.Partition, from messages.Offset, settings messages.Settings, log Log, h hurry, send func(any)) {
	defer close(r.done)
	pause := time.NewTimer(readPauseMost)
	defer pause.Stop()
	wait := time.Duration(0)
	ends := make(messages.Position, p+1)
	for {
		if wait > 0 {
			pause.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			case <-h:
			}
		}
		select {
		case <-ctx.Done():
			return
		case b := <-r.batches:
			b.Settings = settings
			err := log.Read(ctx, p, from, b)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				send(readFailed{fmt.Errorf("read the log: %w", err)})
				return
			}
			log.Ends(ends)
			wait = pauseAfter(b.Records(), b.Next-from, max(ends[p], b.Next)-b.Next)
			from = b.Next
			changes := slices.ContainsFunc(b.Blocks, func(b messages.ReadBlock) bool { return b.Kind == messages.FrameControl })
			send(b)
			if changes {
				if settings = r.settled(ctx, b); ctx.Err() != nil {
					return
				}
			}
		}
	}
}

// settled waits until a batch is counted, and tells the settings in force behind
// it. What a control block does is the ingest actor's to say: one that was sent
// again does nothing.
func (r *reader) settled(ctx context.Context, sent *messages.Batch) (s messages.Settings) {
	for range readAhead {
		select {
		case <-ctx.Done():
			return s
		case b := <-r.batches:
			defer r.give(b)
			if b == sent {
				return b.Settings
			}
		}
	}
	panic("ingest: a batch was given back twice")
}

// pauseAfter is how long to wait after a read that brought some records, of so
// many offsets, and left others. What came while it read is little; more is a
// backlog.
func pauseAfter(records int, read, left messages.Offset) time.Duration {
	if left > read/4 {
		return 0
	}
	return min(time.Duration(records)*readPause, readPauseMost)
}

// give returns a batch to be filled again.
func (r *reader) give(b *messages.Batch) { r.batches <- b }

// stop ends the goroutine and waits for it.
func (r *reader) stop() {
	r.cancel()
	<-r.done
}
