package feed

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/messages"
)

// Pacer is a Source that hands blocks out when their events are due, and may
// move the events' times. Its blocks depend on the moment: they are not for a
// Progress that outlives the program.
type Pacer struct {
	File     *input.File
	Identity Identity
	Events   int // a block, at most

	// At most one of them; without either, everything is due at once.
	Rate  float64 // events per second
	Speed float64 // of the events' own times: 60 makes a minute of an hour

	// Shift is added to the events' times. With Speed and Live they become the
	// moments at which the events are due instead.
	Shift messages.Micros
	Live  bool

	number int
	events int64 // so far
	start  time.Time
	timed  bool            // an event with a time was read
	first  messages.Micros // its time, which is due at start
	due    time.Time       // of the last event
	held   input.Event     // read, but not due with the last block
	buf    []byte          // of held, or of an event whose time was moved
	done   bool
}

// paceStep is how far apart the events of one block may be due.
const paceStep = 100 * time.Millisecond

// Next waits until the next block is due. Blocks never leave before the last
// of their events is due, so that no event comes before its time.
func (p *Pacer) Next(ctx context.Context) (*Block, error) {
	if p.start.IsZero() {
		p.start = time.Now()
		p.due = p.start
	}
	b := newBlock(p.number, p.File.Format())
	var begin, last time.Time // when its first and its last event are due
	for b.Events() < p.Events && len(b.Body) < maxBlockBytes {
		e, err := p.event()
		if errors.Is(err, io.EOF) {
			p.done = true
			break
		}
		if err != nil {
			return nil, err
		}
		if b.Events() == 0 {
			begin = p.due
		} else if p.due.Sub(begin) > paceStep {
			p.held = e
			break
		}
		if p.due.After(last) {
			last = p.due
		}
		if e.Data == nil {
			b.Rejected = append(b.Rejected, Rejection{Line: e.Line, Reason: e.Reason})
		} else {
			b.add(e.Data, e.Line)
		}
	}
	if b.Events() == 0 {
		return nil, io.EOF
	}
	p.number++
	b.finish(p.Identity)
	return b, wait(ctx, time.Until(last))
}

// event is the next event with its time moved; it sets due.
func (p *Pacer) event() (input.Event, error) {
	if p.held.Line != 0 {
		e := p.held
		p.held = input.Event{}
		return e, nil
	}
	if p.done {
		return input.Event{}, io.EOF
	}
	e, err := p.File.Next()
	if err != nil {
		return e, err
	}
	if p.Rate > 0 {
		p.due = p.start.Add(time.Duration(float64(p.events) / p.Rate * float64(time.Second)))
	}
	p.events++
	if e.Data == nil || p.Speed == 0 && p.Shift == 0 {
		return e, nil
	}
	stamp, ok := input.FindStamp(e.Data, p.File.Format())
	if !ok {
		return e, nil // due with the one before; it counts at its arrival, or is refused
	}
	to := stamp.Time + p.Shift
	if p.Speed > 0 {
		if !p.timed {
			p.timed, p.first = true, stamp.Time
		}
		p.due = p.start.Add(scaled(stamp.Time-p.first, p.Speed))
		if p.Live {
			to = messages.MicrosOf(p.due)
		}
	}
	if to != stamp.Time {
		p.buf = stamp.Replace(p.buf[:0], e.Data, p.File.Format(), max(0, to))
		e.Data = p.buf
	}
	return e, nil
}

// scaled is a length of event time as it takes at a speed, at most a century.
func scaled(d messages.Micros, speed float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	ns := float64(d) * float64(time.Microsecond) / speed
	return time.Duration(max(-float64(century), min(ns, float64(century))))
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LatestTime reads a file to its end for the largest event time in it; false
// if no event has one.
func LatestTime(ctx context.Context, f *input.File) (latest messages.Micros, ok bool, err error) {
	for n := 0; ; n++ {
		if n%10_000 == 0 && ctx.Err() != nil {
			return 0, false, ctx.Err()
		}
		e, err := f.Next()
		if errors.Is(err, io.EOF) {
			return latest, ok, nil
		}
		if err != nil {
			return 0, false, err
		}
		if s, found := input.FindStamp(e.Data, f.Format()); found {
			latest, ok = max(latest, s.Time), true
		}
	}
}
