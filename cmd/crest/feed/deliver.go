package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// outcome is what an attempt says about a block.
type outcome int

const (
	taken       outcome = iota // durable, but for rejected events
	allRejected                // answered: no event is good
	uncounted                  // surely not in the log; try again
	unknown                    // may be in the log; try again with the same key
	refused                    // trying again will not help
)

// UndoneError is an Ingester's answer about events that surely are not in the
// log.
type UndoneError struct {
	Err   error
	Final bool // trying again will not help
}

func (e *UndoneError) Error() string { return e.Err.Error() }
func (e *UndoneError) Unwrap() error { return e.Err }

func judge(err error) outcome {
	var said *client.Error
	var network *net.OpError
	var undone *UndoneError
	switch {
	case err == nil:
		return taken
	case errors.As(err, &undone):
		if undone.Final {
			return refused
		}
		return uncounted
	case errors.As(err, &said):
		switch {
		case said.Status == http.StatusUnprocessableEntity && len(said.Errors) > 0:
			return allRejected
		case said.Status == http.StatusTooManyRequests:
			return uncounted
		case said.Status >= 500:
			return unknown
		}
		return refused
	case errors.As(err, &network) && network.Op == "dial":
		return uncounted
	}
	return unknown
}

// deliver sends a block until it is acknowledged. ctx ends the retries,
// requests the attempt under way.
func (s *sender) deliver(ctx, requests context.Context, b *Block) error {
	if len(b.Lines) == 0 {
		return s.acknowledge(b, nil, 0)
	}
	began := time.Now()
	for n := 0; ; n++ {
		if skip, err := s.tooOld(b); skip || err != nil {
			return err
		}
		_, maybe := s.progress.sentSince(b.Number)
		if err := s.progress.begun(b, time.Now()); err != nil {
			return err
		}
		answer, err := s.to.Ingest(requests, &client.Events{Body: b.Body, ContentType: s.cfg.ContentType, Key: b.Key})
		switch judge(err) {
		case taken:
			rejected := 0
			if answer.Rejected != nil {
				rejected = *answer.Rejected
			}
			return s.acknowledge(b, answer.Errors, rejected)
		case allRejected:
			var said *client.Error
			errors.As(err, &said)
			return s.acknowledge(b, said.Errors, len(b.Lines))
		case refused:
			s.withdraw(b, maybe)
			first, last := b.Range()
			return fmt.Errorf("lines %d to %d: %w", first, last, err)
		case uncounted:
			s.withdraw(b, maybe)
		}
		if err := s.pause(ctx, n, began, err); err != nil {
			return err
		}
	}
}

// withdraw takes back that a block may have been sent, unless an earlier
// attempt may have reached the log too.
func (s *sender) withdraw(b *Block, earlier bool) {
	if !earlier {
		s.progress.withdrawn(b.Number)
	}
}

// tooOld judges a block that may have been sent: while its key is remembered
// it can be sent again. Behind that, the policy decides.
func (s *sender) tooOld(b *Block) (skip bool, err error) {
	since, maybe := s.progress.sentSince(b.Number)
	// A margin, for the time that the repeat itself takes.
	if !maybe || time.Since(since) < s.cfg.DedupWindow-min(s.cfg.DedupWindow/4, time.Minute) {
		return false, nil
	}
	switch s.cfg.Unresolved {
	case Resend:
		return false, nil
	case Skip:
		s.mu.Lock()
		s.totals.Skipped++
		s.mu.Unlock()
		return true, s.acknowledge(b, nil, 0)
	}
	first, last := b.Range()
	return false, &UnresolvedError{Block: b.Number, First: first, Last: last, Since: since, Key: b.Key, Window: s.cfg.DedupWindow}
}

// acknowledge notes that a block is done; rejected of its events were refused
// by the node, which says why for the first ones.
func (s *sender) acknowledge(b *Block, reasons []api.Rejection, rejected int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range b.Rejected {
		if err := s.cfg.Rejected(r); err != nil {
			return err
		}
	}
	for _, r := range reasons {
		if r.Index < 0 || r.Index >= len(b.Lines) {
			return fmt.Errorf("the node rejected event %d of %d; it is no node of this version", r.Index, len(b.Lines))
		}
		if err := s.cfg.Rejected(Rejection{Line: b.Lines[r.Index], Reason: r.Reason, Event: b.Event(r.Index)}); err != nil {
			return err
		}
	}
	if more := rejected - len(reasons); more > 0 {
		last := b.Lines[len(b.Lines)-1]
		from := b.Lines[0]
		if n := len(reasons); n > 0 {
			from = b.Lines[min(reasons[n-1].Index+1, len(b.Lines)-1)]
		}
		if err := s.cfg.Rejected(Rejection{Line: from, LastLine: last, More: more}); err != nil {
			return err
		}
	}
	rejected += len(b.Rejected)
	s.progress.done(b, rejected)
	s.totals.Blocks++
	s.totals.Events += int64(b.Events())
	s.totals.Rejected += int64(rejected)
	s.lastAnswer = time.Now()
	s.cfg.Sent(b, false)
	return nil
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// pause waits before try n+2, longer each time and at random, so that many
// senders do not come back together. It gives up when nothing has been
// acknowledged for Patience.
func (s *sender) pause(ctx context.Context, n int, began time.Time, cause error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	quiet := time.Since(began)
	if answered := time.Since(s.lastAnswer); answered < quiet {
		quiet = answered
	}
	s.cfg.Waiting(cause.Error())
	s.mu.Unlock()
	if quiet >= s.cfg.Patience {
		return fmt.Errorf("nothing was taken for %v: %w", s.cfg.Patience, cause)
	}
	bound := min(firstPause<<min(n, 10), longestPause)
	wait := bound/2 + rand.N(bound/2)
	var said *client.Error
	if errors.As(cause, &said) {
		wait = max(wait, min(said.RetryAfter, longestPause))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
