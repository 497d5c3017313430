package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/crestdb/crest/bench"
)

// score is what was found of one engine's boards and counts.
type score struct {
	boards, counts, lies int
	exact, under         int     // boards: exact, and below enough
	recall, strict       float64 // sums
	leastRecall          float64
	certified            float64 // sum of shares
	proves               bool    // it certifies at all
	intervals            []interval
	maxError             uint64
}

// interval is what a row says its count lies in.
type interval struct{ lower, upper uint64 }

func (i interval) width() uint64 { return i.upper - i.lower }

// loose is the width as a share of what the count may be.
func (i interval) loose() float64 { return float64(i.width()) / float64(max(i.upper, 1)) }

// finding is one board, of a cell with events, compared with the truth.
type finding struct {
	recall    float64 // ties open
	strict    float64 // ties by topic; a peer's: as recall
	certified int     // rows; -1: the engine certifies nothing
	rows      int     // that there could be
	exact     bool
	intervals []interval // nil: there are no bounds
	maxError  uint64
	lies      int
}

func (s *score) add(f *finding) {
	one := score{
		boards: 1, lies: f.lies, recall: f.recall, strict: f.strict, leastRecall: f.recall,
		proves: f.certified >= 0, certified: float64(max(f.certified, 0)) / float64(f.rows),
		intervals: f.intervals, maxError: f.maxError,
	}
	if f.exact {
		one.exact = 1
	}
	if f.recall < enough {
		one.under = 1
	}
	s.merge(&one)
}

// merge adds another score.
func (s *score) merge(o *score) {
	if o.boards > 0 {
		if s.boards == 0 {
			s.leastRecall = o.leastRecall
		}
		s.leastRecall, s.proves = min(s.leastRecall, o.leastRecall), o.proves
	}
	s.boards += o.boards
	s.exact += o.exact
	s.under += o.under
	s.counts += o.counts
	s.lies += o.lies
	s.recall += o.recall
	s.strict += o.strict
	s.certified += o.certified
	s.intervals = append(s.intervals, o.intervals...)
	s.maxError = max(s.maxError, o.maxError)
}

// checks is how many rows and counts were compared.
func (s *score) checks() int { return len(s.intervals) + s.counts }

// width is a quantile of the intervals' widths, loose of them as shares; false:
// there are none.
func (s *score) width(q float64) (uint64, bool)  { return quantile(s.intervals, q, interval.width) }
func (s *score) loose(q float64) (float64, bool) { return quantile(s.intervals, q, interval.loose) }

func quantile[T cmp.Ordered](all []interval, q float64, of func(interval) T) (at T, ok bool) {
	if len(all) == 0 {
		return at, false
	}
	values := make([]T, len(all))
	for i := range all {
		values[i] = of(all[i])
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)], true
}

// share writes a mean over the boards.
func (s *score) share(sum float64) string {
	if s.boards == 0 {
		return none
	}
	return fmt.Sprintf("%.4f", sum/float64(s.boards))
}

// none stands where there is nothing to say.
const none = "-"

func (s *score) leastText() string {
	if s.boards == 0 {
		return none
	}
	return fmt.Sprintf("%.4f", s.leastRecall)
}

func (s *score) certifiedText() string {
	if !s.proves {
		return none
	}
	return s.share(s.certified)
}

func (s *score) exactText() string {
	if !s.proves {
		return none
	}
	return s.share(float64(s.exact))
}

func (s *score) widthText(q float64) string {
	if n, ok := s.width(q); ok {
		return bench.Number(float64(n))
	}
	return none
}
