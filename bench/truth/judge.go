package truth

import (
	"fmt"
	"slices"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// Verdict is what a comparison with the truth found.
type Verdict struct {
	// False lists statements of the answer that are not true. An answer that
	// is merely inexact, and says so, has none.
	False []string
	// Recall is the share of the true top K that the board has, ties in topic
	// order; 1 if there is nothing to find.
	Recall float64
	// TiedRecall leaves ties open: any topic is right that has as much as the
	// last of the true top K.
	TiedRecall float64
	// MaxError is the greatest |estimate − true count| of a row.
	MaxError uint64
}

func (v *Verdict) wrong(format string, args ...any) {
	v.False = append(v.False, fmt.Sprintf(format, args...))
}

// Board compares a board with the truth about its cell and window.
func (t *Tally) Board(b *api.Board) Verdict {
	var v Verdict
	ranked := t.Ranked()
	top := ranked[:min(b.Top, len(ranked))]
	inTop := map[string]bool{}
	for _, r := range top {
		inTop[r.Topic] = true
	}

	found, tied := 0, 0
	seen := map[string]bool{}
	for i, r := range b.Topics {
		t.row(&v, r.Topic, r.Bounds)
		v.MaxError = max(v.MaxError, distance(r.Estimate, t.Count(r.Topic)))
		switch {
		case seen[r.Topic]:
			v.wrong("row %d: %q is there twice", i+1, r.Topic)
		case inTop[r.Topic]:
			found++
		case r.Certified:
			v.wrong("row %d: %q is certified but not in the top %d", i+1, r.Topic, b.Top)
		}
		if len(top) > 0 && !seen[r.Topic] && t.Count(r.Topic) >= top[len(top)-1].Count {
			tied++
		}
		seen[r.Topic] = true
		if r.Rank != i+1 {
			v.wrong("row %d: rank %d", i+1, r.Rank)
		}
		if r.Score != r.Lower {
			v.wrong("row %d: score %d, lower bound %d", i+1, r.Score, r.Lower)
		}
		if i > 0 && !before(&b.Topics[i-1], &r) {
			v.wrong("row %d: %q (%d) stands behind %q (%d)", i+1, r.Topic, r.Lower, b.Topics[i-1].Topic, b.Topics[i-1].Lower)
		}
	}
	v.Recall, v.TiedRecall = 1, 1
	if len(top) > 0 {
		v.Recall = float64(found) / float64(len(top))
		v.TiedRecall = min(1, float64(tied)/float64(len(top)))
	}
	t.certified(&v, b)
	if b.Exact {
		t.exact(&v, b, top)
	}
	if b.Total.Lower > t.total || b.Total.Upper < t.total {
		v.wrong("total %d to %d, true %d", b.Total.Lower, b.Total.Upper, t.total)
	}
	return v
}

// row checks lower ≤ true ≤ upper, and that the estimate lies between them.
func (t *Tally) row(v *Verdict, topic string, b api.Bounds) {
	if n := t.Count(topic); b.Lower > n || b.Upper < n {
		v.wrong("%q: %d to %d, true %d", topic, b.Lower, b.Upper, n)
	}
	if b.Estimate < b.Lower || b.Estimate > b.Upper {
		v.wrong("%q: estimate %d is not in %d to %d", topic, b.Estimate, b.Lower, b.Upper)
	}
}

// before is the order of a board: by lower bound, then by topic.
func before(a, b *api.BoardRow) bool {
	return a.Lower > b.Lower || (a.Lower == b.Lower && a.Topic < b.Topic)
}

// certified checks that the first n rows are the true top n as a set.
func (t *Tally) certified(v *Verdict, b *api.Board) {
	if b.Certified > len(b.Topics) {
		v.wrong("certified %d of %d rows", b.Certified, len(b.Topics))
		return
	}
	first := map[string]bool{}
	for _, r := range b.Topics[:b.Certified] {
		first[r.Topic] = true
	}
	for i, r := range t.Ranked()[:min(b.Certified, len(t.Ranked()))] {
		if !first[r.Topic] {
			v.wrong("certified %d, but %q, true rank %d, is not among them", b.Certified, r.Topic, i+1)
		}
	}
	if b.Certified > len(t.Ranked()) {
		v.wrong("certified %d of %d topics there are", b.Certified, len(t.Ranked()))
	}
}

// exact checks that a board that says it is exact is the true one, row by row.
func (t *Tally) exact(v *Verdict, b *api.Board, top []Row) {
	if len(b.Topics) != len(top) {
		v.wrong("exact with %d rows, there are %d", len(b.Topics), len(top))
		return
	}
	for i, r := range b.Topics {
		if r.Topic != top[i].Topic || r.Lower != top[i].Count || r.Upper != top[i].Count || !r.Certified {
			v.wrong("exact, but row %d is %q %d to %d, true %q %d", i+1, r.Topic, r.Lower, r.Upper, top[i].Topic, top[i].Count)
		}
	}
	if b.Certified != len(top) {
		v.wrong("exact, but certified %d of %d", b.Certified, len(top))
	}
}

// Counts compares an answer about many topics with the truth.
func (t *Tally) Counts(c *api.Counts) Verdict {
	var v Verdict
	for _, r := range c.Counts {
		t.row(&v, r.Topic, r.Bounds)
		v.MaxError = max(v.MaxError, distance(r.Estimate, t.Count(r.Topic)))
		if r.Exact != (r.Lower == r.Upper) {
			v.wrong("%q: exact is %v with %d to %d", r.Topic, r.Exact, r.Lower, r.Upper)
		}
	}
	return v
}

// History compares a topic's development with the truth.
func (e *Events) History(h *api.History, cell messages.Cell) Verdict {
	var v Verdict
	window, err := messages.ParseLength(h.Window)
	if err != nil {
		v.wrong("window: %v", err)
		return v
	}
	step, err := messages.ParseLength(h.Granularity)
	if err != nil {
		v.wrong("granularity: %v", err)
		return v
	}
	if len(h.Trend) != int(window/step) {
		v.wrong("%d points, want %d", len(h.Trend), window/step)
	}
	exact := true
	for i, p := range h.Trend {
		start := messages.MicrosOf(p.Timestamp)
		n := e.Between(h.Topic, start, start+step, cell)
		if p.Lower > n || p.Upper < n || p.Estimate < p.Lower || p.Estimate > p.Upper {
			v.wrong("%q at %v: %d to %d, true %d", h.Topic, p.Timestamp, p.Lower, p.Upper, n)
		}
		exact = exact && p.Lower == p.Upper
		v.MaxError = max(v.MaxError, distance(p.Estimate, n))
		if i > 0 && messages.MicrosOf(h.Trend[i-1].Timestamp)+step != start {
			v.wrong("point %d begins at %v, the one before it at %v", i, p.Timestamp, h.Trend[i-1].Timestamp)
		}
	}
	if n := len(h.Trend); n > 0 && messages.MicrosOf(h.Trend[n-1].Timestamp)+step < messages.MicrosOf(h.AsOf) {
		v.wrong("the last point ends before %v", h.AsOf)
	}
	if h.Exact != exact {
		v.wrong("exact is %v, its points say %v", h.Exact, exact)
	}
	return v
}

// Interval checks that an answer's interval is the window it names: it ends at
// the engine time asked about, begins one window earlier ("all": with the first
// event), and is rounded outward by no more than the contract allows.
func (e *Events) Interval(window string, at api.Interval, engineTime messages.Micros) Verdict {
	var v Verdict
	w, err := messages.ParseWindow(window)
	if err != nil {
		v.wrong("window: %v", err)
		return v
	}
	start, end, asOf := messages.MicrosOf(at.WindowStart), messages.MicrosOf(at.WindowEnd), messages.MicrosOf(at.AsOf)
	if asOf != engineTime {
		v.wrong("as of %v, engine time is %v", at.AsOf, engineTime.Time())
	}
	if end <= asOf || end > asOf+grid(w) {
		v.wrong("%s ends at %v, as of %v", w, at.WindowEnd, at.AsOf)
	}
	from := asOf - messages.Micros(w)
	if w == messages.WindowAll {
		from = e.earliest
	}
	if start > from || start < from-grid(w) {
		v.wrong("%s as of %v begins at %v", w, at.AsOf, at.WindowStart)
	}
	return v
}

// grid is the coarsest rounding the contract allows for a window that ends
// now.
func grid(w messages.Window) messages.Micros {
	length := messages.Micros(w)
	switch {
	case w == messages.WindowAll:
		return messages.Day // how coarse its oldest slice is, is not said
	case slices.Contains(messages.StandardWindows[:], w):
		return length / 60
	case length < messages.Minute:
		return messages.SliceLength
	}
	return length / 12
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }
