package main

import (
	"fmt"
	"slices"

	"github.com/crestdb/crest/bench"
)

// score is what was found in one window, or in all, of one engine.
type score struct {
	boards, exact, counts, lies int
	recall, leastRecall         float64 // sum, least
	certified                   float64 // sum of shares; negative: it certifies nothing
	widths                      []uint64
	maxError                    uint64
}

func newScore() *score { return &score{leastRecall: 1} }

// finding is one board compared with the truth.
type finding struct {
	recall    float64
	certified int // rows; -1: the engine certifies nothing
	rows      int // that there could be
	exact     bool
	widths    []uint64 // upper − lower of the rows; nil: there are no bounds
	maxError  uint64
	lies      int
}

func (s *score) add(f *finding) {
	s.boards++
	s.recall += f.recall
	s.leastRecall = min(s.leastRecall, f.recall)
	switch {
	case f.certified < 0:
		s.certified = -1
	case f.rows > 0:
		s.certified += float64(f.certified) / float64(f.rows)
	default:
		s.certified++
	}
	if f.exact {
		s.exact++
	}
	s.widths = append(s.widths, f.widths...)
	s.maxError = max(s.maxError, f.maxError)
	s.lies += f.lies
}

// merge adds another window's score.
func (s *score) merge(o *score) {
	s.boards += o.boards
	s.exact += o.exact
	s.counts += o.counts
	s.lies += o.lies
	s.recall += o.recall
	s.leastRecall = min(s.leastRecall, o.leastRecall)
	s.certified += o.certified
	s.widths = append(s.widths, o.widths...)
	s.maxError = max(s.maxError, o.maxError)
}

// width is a quantile of the intervals' widths; false: there are none.
func (s *score) width(q float64) (uint64, bool) {
	if len(s.widths) == 0 {
		return 0, false
	}
	slices.Sort(s.widths)
	return s.widths[min(int(q*float64(len(s.widths))), len(s.widths)-1)], true
}

// scoreHead names the cells of a score.
var scoreHead = []string{"boards", "recall", "least", "certified", "exact", "width p50", "p99", "max error", "false"}

func (s *score) cells() []string {
	share := func(sum float64) string { return fmt.Sprintf("%.4f", sum/float64(max(s.boards, 1))) }
	certified, exact := share(s.certified), share(float64(s.exact))
	if s.certified < 0 {
		certified, exact = "–", "–"
	}
	width := func(q float64) string {
		if n, ok := s.width(q); ok {
			return bench.Number(float64(n))
		}
		return "–"
	}
	return []string{
		fmt.Sprint(s.boards), share(s.recall), fmt.Sprintf("%.4f", s.leastRecall), certified, exact,
		width(0.5), width(0.99), bench.Number(float64(s.maxError)), fmt.Sprint(s.lies),
	}
}
