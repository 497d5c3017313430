package virtual

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// check compares what the node says with the log, with what clients were told,
// and with brute force. A node that a fault has broken may refuse to say
// anything; what it says is true all the same.
func (s *sim) check(boards int) error {
	if err := errors.Join(s.complaint(), s.oracle.complaint()); err != nil {
		return err
	}
	ends := make(messages.Position, s.partitions)
	s.core.Log().Ends(ends)
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	err := s.core.Engine().Await(ctx, ends)
	if err == nil {
		err = s.core.Engine().Ready()
	}
	if err != nil {
		if s.unwell {
			return nil
		}
		return fmt.Errorf("a node without faults: %w", err)
	}
	synctest.Wait() // the oracle's readers, too, have come to the end
	if read := s.oracle.ends(); !read.Covers(ends) || !ends.Covers(read) {
		return fmt.Errorf("the log ends at %v, its readers are at %v", ends, read)
	}
	if err := errors.Join(s.oracle.complaint(), s.ledgers(ctx)); err != nil {
		return err
	}
	if s.orderly {
		if err := s.oracle.stampsAscend(); err != nil {
			return err
		}
	}
	if err := s.promises.kept(s.oracle.totals()); err != nil {
		return err
	}
	for range boards {
		if err := s.someBoard(ctx, ends); err != nil {
			return err
		}
	}
	if boards > 1 {
		return errors.Join(s.windows(ctx, ends), s.someCounts(ctx, ends))
	}
	return nil
}

// ledgers must be those of the recount, digests included, and balance.
func (s *sim) ledgers(ctx context.Context) error {
	have, err := s.core.Engine().Ledger(ctx)
	if err != nil {
		return err
	}
	for p, want := range s.oracle.ledgers() {
		l := have[p]
		if l != want {
			return fmt.Errorf("ledger of partition %d:\n%+v, the log counts\n%+v", p, l, want)
		}
		if l.Logged != l.Counted+l.Duplicates+l.DeadLettered {
			return fmt.Errorf("the ledger of partition %d does not balance: %+v", p, l)
		}
	}
	return nil
}

// tally is what the log counts in an interval and a cell, by going through all
// of it.
func (s *sim) tally(i api.Interval, cell messages.Cell) *truth.Tally {
	start, end := messages.MicrosOf(i.WindowStart), messages.MicrosOf(i.WindowEnd)
	counts, total := map[string]uint64{}, uint64(0)
	s.oracle.each(func(e *actorstest.Entry) {
		if e.Slice >= start && e.Slice < end && (cell.Category == "" || cell.Category == e.Category) && (cell.Region == "" || cell.Region == e.Region) {
			counts[e.Topic] += e.Count
			total += e.Count
		}
	})
	ranked := make([]truth.Row, 0, len(counts))
	for topic, n := range counts {
		ranked = append(ranked, truth.Row{Topic: topic, Count: n})
	}
	slices.SortFunc(ranked, func(a, b truth.Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Topic, b.Topic))
	})
	return truth.NewTally(func(t string) uint64 { return counts[t] }, ranked, total)
}

// get asks the edge and decodes its answer.
func (s *sim) get(ctx context.Context, method, target, body string, into any) error {
	w := s.ask(ctx, method, target, "", body)
	if w.Code != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", target, w.Code, w.Body)
	}
	return json.Unmarshal(w.Body.Bytes(), into)
}

func (s *sim) after(ends messages.Position) string { return ends.Token(s.oracle.id.ID) }

var someWindows = []string{"5m", "10m", "1h", "24h", "7d", "30d", "all", "37m", "45s", "3h"}

// folds tells whether names of a cell may have been folded into "other".
func (s *sim) folds(cell messages.Cell) bool {
	return cell.Category != "" && s.maxCategories < 6 || cell.Region != "" && s.maxRegions < 9
}

// someBoard asks for a board and has it judged.
func (s *sim) someBoard(ctx context.Context, ends messages.Position) error {
	window, top := one(s.rng, someWindows...), one(s.rng, 1, 3, 10, 100)
	cell := messages.Cell{}
	if s.rng.IntN(2) == 0 {
		cell.Category = fmt.Sprintf("c%d", s.rng.IntN(7))
	}
	if s.rng.IntN(2) == 0 {
		cell.Region = fmt.Sprintf("r%d", s.rng.IntN(10))
	}
	q := url.Values{"window": {window}, "top": {fmt.Sprint(top)}, "after": {s.after(ends)}}
	if cell.Category != "" {
		q.Set("category", cell.Category)
	}
	if cell.Region != "" {
		q.Set("region", cell.Region)
	}
	var b api.Board
	if err := s.get(ctx, http.MethodGet, "/api/v1/trending?"+q.Encode(), "", &b); err != nil {
		return err
	}
	said := func(what string, args ...any) error {
		return fmt.Errorf("board %v of %+v as of %v, %v to %v: %s", window, cell, b.AsOf, b.WindowStart, b.WindowEnd, fmt.Sprintf(what, args...))
	}
	if err := interval(b.Interval, window); err != nil {
		return said("%v", err)
	}
	if v := s.tally(b.Interval, cell).Board(&b); len(v.False) > 0 {
		return said("%s", strings.Join(v.False, "; "))
	}
	if s.engineMemory == 0 && !s.folds(cell) && !b.Exact {
		return said("it is not exact, though everything fits into memory")
	}
	if s.orderly && s.engineMemory == 0 {
		s.note("board %s %+v %v %v", window, cell, b.Total, b.Topics)
	}
	return nil
}

// interval checks that a window ends now, is as long as it says, and is rounded
// outward by no more than it may.
func interval(i api.Interval, name string) error {
	w, err := messages.ParseWindow(name)
	if err != nil {
		return err
	}
	asOf, start, end := messages.MicrosOf(i.AsOf), messages.MicrosOf(i.WindowStart), messages.MicrosOf(i.WindowEnd)
	if end <= asOf && asOf > 0 {
		return errors.New("it ends before its moment")
	}
	if w == messages.WindowAll {
		return nil
	}
	length := messages.Micros(w)
	grid := max(length/12, messages.SliceLength)
	if slices.Contains(messages.StandardWindows[:], w) {
		grid = length / 60
	}
	if from := asOf - length; asOf > length && (start > from || start < from-grid || end > asOf+grid) {
		return fmt.Errorf("it is no window of %s", name)
	}
	return nil
}

// windows checks that longer windows hold no less, and "all" no less than ever
// before.
func (s *sim) windows(ctx context.Context, ends messages.Position) error {
	var before uint64
	for _, window := range someWindows[:7] {
		var c api.Count
		if err := s.get(ctx, http.MethodGet, "/api/v1/topics/t0/count?window="+window+"&after="+s.after(ends), "", &c); err != nil {
			return err
		}
		if c.WindowTotalLower < before {
			return fmt.Errorf("window %s holds %d, a shorter one %d", window, c.WindowTotalLower, before)
		}
		before = c.WindowTotalLower
	}
	if before < s.all {
		return fmt.Errorf("the window of all holds %d, and has held %d", before, s.all)
	}
	s.all = before
	return nil
}

// someCounts asks for topics that were sent and for one that was not.
func (s *sim) someCounts(ctx context.Context, ends messages.Position) error {
	q := api.CountsRequest{Topics: []string{"never sent"}, Window: one(s.rng, someWindows...), After: s.after(ends)}
	for range 20 {
		q.Topics = append(q.Topics, fmt.Sprintf("t%d", zipf(s.rng, s.topics)))
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	var c api.Counts
	if err := s.get(ctx, http.MethodPost, "/api/v1/counts", string(body), &c); err != nil {
		return err
	}
	if v := s.tally(c.Interval, messages.Cell{}).Counts(&c); len(v.False) > 0 {
		return fmt.Errorf("counts in %s as of %v: %s", q.Window, c.AsOf, strings.Join(v.False, "; "))
	}
	return nil
}

// pass lets time pass, and what is under way come to its end. How long something
// takes to the millisecond is up to the scheduler too, so an orderly day is made
// of appointments: each is d and an allowance after the one before.
func (s *sim) pass(d time.Duration) {
	if s.orderly {
		const allowance = 5 * time.Second
		s.due += d.Round(time.Millisecond) + allowance
		d = s.due - time.Since(s.began)
		if d < 0 {
			s.due += time.Minute - d.Truncate(time.Minute)
			d = s.due - time.Since(s.began)
		}
	}
	time.Sleep(d)
	synctest.Wait()
}
