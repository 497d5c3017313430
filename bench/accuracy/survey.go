package main

import (
	"cmp"
	"slices"

	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// survey is the comparison of one stream with one budget.
type survey struct {
	memory    string
	bytes     int64 // of memory; 0: nobody said
	subject   subject
	places    map[place]*scores
	peerBytes int64
	untrue    []string        // the first maxFalse
	misses    []miss          // the worst maxMisses, worst first
	held      messages.Memory // by tables, when it was most
}

// kind is what kind of cell a board is of.
type kind int

// The kinds of cells.
const (
	ofAny kind = iota
	ofCategory
	ofRegion
	ofPair
	kinds
)

// kindNames are the kinds' in tables.
var kindNames = [kinds]string{"any", "category", "region", "pair"}

func kindOf(c messages.Cell) kind {
	k := ofAny
	if c.Category != "" {
		k += ofCategory
	}
	if c.Region != "" {
		k += ofRegion
	}
	return k
}

// place is where scores are kept apart.
type place struct {
	window messages.Window
	kind   kind
}

// scores are crest's and, in the order of counters.Kinds, the peers'.
type scores struct {
	score score
	peers []score
}

// miss is a board that found less than enough of the true top.
type miss struct {
	what   string
	events int // of the stream so far
	recall float64
	rows   int    // of the true top
	last   uint64 // count of the last of them
	topics int    // of the cell
}

const (
	// enough is the recall that is to be had everywhere at a tenth of the need.
	enough = 0.99
	// maxFalse bounds how many false statements are printed, maxMisses how many
	// boards.
	maxFalse  = 10
	maxMisses = 5
)

func newSurvey(memory string) *survey {
	return &survey{memory: memory, places: map[place]*scores{}}
}

// at are the scores of a window and a kind of cell.
func (s *survey) at(w messages.Window, c messages.Cell) *scores {
	p := place{w, kindOf(c)}
	if s.places[p] == nil {
		s.places[p] = &scores{peers: make([]score, len(counters.Kinds))}
	}
	return s.places[p]
}

// judged is what was found of a board; what is false is noted apart.
func judged(b *api.Board, v truth.Verdict, rows int) *finding {
	f := &finding{recall: v.TiedRecall, strict: v.Recall, certified: b.Certified, rows: rows, exact: b.Exact}
	for _, r := range b.Topics {
		f.intervals = append(f.intervals, interval{r.Lower, r.Upper})
	}
	return f
}

// note keeps what is false and how far off an answer was.
func (s *survey) note(sc *score, what string, v truth.Verdict) {
	sc.lies += len(v.False)
	sc.maxError = max(sc.maxError, v.MaxError)
	for _, text := range v.False[:min(len(v.False), maxFalse-len(s.untrue))] {
		s.untrue = append(s.untrue, what+": "+text)
	}
}

// miss keeps a board that found too little.
func (s *survey) miss(m miss) {
	at, _ := slices.BinarySearchFunc(s.misses, m, func(a, b miss) int { return cmp.Compare(a.recall, b.recall) })
	s.misses = slices.Insert(s.misses, at, m)
	s.misses = s.misses[:min(len(s.misses), maxMisses)]
}

// sum is crest's score over some places.
func (s *survey) sum(in func(place) bool) *score {
	sum := &score{}
	for p, v := range s.places {
		if in(p) {
			sum.merge(&v.score)
		}
	}
	return sum
}

func (s *survey) all() *score { return s.sum(everywhere) }

// peer is a peer's score over some places.
func (s *survey) peer(i int, in func(place) bool) *score {
	sum := &score{}
	for p, v := range s.places {
		if in(p) {
			sum.merge(&v.peers[i])
		}
	}
	return sum
}

func everywhere(place) bool { return true }

func inWindow(w messages.Window) func(place) bool {
	return func(p place) bool { return p.window == w }
}

func inKind(in func(place) bool, k kind) func(place) bool {
	return func(p place) bool { return p.kind == k && in(p) }
}
