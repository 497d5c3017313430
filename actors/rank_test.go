package actors

import (
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestARankIsOfOneState: what the topic has and what its cell has are of one
// state, whatever is counted between the rounds.
func TestARankIsOfOneState(t *testing.T) {
	r := newRig(t, messages.ClockWall, nil)
	if err := r.Await(r.ctx(), r.send(event("t", "", "", 1))); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				r.send(event("t", "", "", 1))
			}
		}
	}()
	for range 300 {
		a, err := r.Rank(r.ctx(), &messages.RankQuery{Topic: "t", Window: messages.Window1h})
		if err != nil {
			t.Error(err)
			break
		}
		if a.Count != a.Total {
			t.Errorf("the only topic has %v of %v", a.Count, a.Total)
			break
		}
	}
	close(stop)
	<-stopped
	if err := r.Await(r.ctx(), r.send(event("t", "", "", 1))); err != nil { // nothing stands still for ever
		t.Fatal(err)
	}
}

// TestRankOfAnUncertainCount: neighbours stand where a board of the lower bounds
// has them, whatever the interval of the topic's own rank is.
func TestRankOfAnUncertainCount(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		h := newHashes(&c.Identity)
		c.NewCore = func() Core { return vague{window.New(window.Config{Hash: h.topic})} }
	})
	pos := r.send(event("a", "", "", 9), event("b", "", "", 7), event("c", "", "", 5), event("v", "", "", 4), event("d", "", "", 2))
	for around, first := range map[int]int{0: 4, 1: 3, 5: 1} {
		a, err := r.Rank(r.ctx(), &messages.RankQuery{Topic: "v", Window: messages.Window1h, Around: around, After: pos})
		if err != nil {
			t.Fatal(err)
		}
		if a.Lower != 2 || a.Upper != 4 || a.First != first || a.Count != (messages.Count{Lower: 4, Estimate: 4, Upper: 8}) || a.Neighbours[4-first].Topic != "v" {
			t.Errorf("around %d: %+v", around, a)
		}
	}
}

// vague is a core that knows one count within bounds only.
type vague struct{ Core }

func (v vague) Count(q *window.CountAsk) *window.CountPart {
	p := v.Core.Count(q)
	for i, topic := range q.Topics {
		if topic == "v" {
			p.Counts[i].Upper *= 2
		}
	}
	return p
}

// TestSketchErrors: every answer with bounds tells the error of the sketches in
// use, "all" that of its own.
func TestSketchErrors(t *testing.T) {
	r := newRig(t, messages.ClockWall, func(c *Config) {
		c.NewCore = func() Core { return sketchy{window.New(window.Config{Hash: func([]byte) uint64 { return 0 }})} }
	})
	for w, want := range map[messages.Window]float64{messages.Window1h: 0.25, messages.WindowAll: 0.125} {
		topics, err := r.Topics(r.ctx(), &messages.TopicsQuery{Window: w, Limit: 1})
		if err != nil || topics.Epsilon != want {
			t.Errorf("%s: topics with %+v, %v", w, topics, err)
		}
		cells, err := r.Cells(r.ctx(), &messages.CellsQuery{Window: w})
		if err != nil || cells.Epsilon != want {
			t.Errorf("%s: cells with %+v, %v", w, cells, err)
		}
		board, err := r.Board(r.ctx(), &messages.BoardQuery{Window: w, K: 1})
		if err != nil || board.Epsilon != want {
			t.Errorf("%s: a board with %+v, %v", w, board, err)
		}
	}
}

// sketchy is a core with sketches in use.
type sketchy struct{ Core }

func (sketchy) SketchError(w messages.Window) messages.SketchError {
	if w == messages.WindowAll {
		return messages.SketchError{Epsilon: 0.125, Delta: 0.01}
	}
	return messages.SketchError{Epsilon: 0.25, Delta: 0.01}
}
