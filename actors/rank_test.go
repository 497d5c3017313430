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
