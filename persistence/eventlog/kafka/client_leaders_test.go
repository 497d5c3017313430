package kafka

import (
	"context"
	"testing"
	"time"
)

// heard is what a broker says of a topic of two partitions.
func heard(topic byte, leader0, epoch0, leader1, epoch1 int32) *topicMeta {
	return &topicMeta{topicID: [16]byte{topic}, leaders: []int32{leader0, leader1}, epochs: []int32{epoch0, epoch1}}
}

func TestWhoeverAsksALeaderIsToldOfTheNextOneOnce(t *testing.T) {
	var l leaders
	told := map[string]int{}
	watch := func(name string, p, asked int32) (stop func()) {
		return l.whenMoved(p, asked, func() { told[name]++ })
	}
	want := func(when string, names ...string) {
		t.Helper()
		if len(told) != len(names) {
			t.Errorf("%s told %v, want %v", when, told, names)
		}
		for _, name := range names {
			if told[name] != 1 {
				t.Errorf("%s told %v, want %v once", when, told, names)
			}
		}
		clear(told)
	}
	watch("nobody has said", 0, -1)
	l.learn(heard(1, 4, 7, 5, 7))
	want("first", "nobody has said")
	watch("of 0", 0, 4)
	stop := watch("stopped", 0, 4)
	watch("of 1", 1, 5)
	watch("at once", 1, 4)
	want("at once", "at once")
	stop()
	l.learn(heard(1, -1, 8, 5, 7))
	want("without a leader")
	l.learn(heard(1, 6, 9, 5, 7))
	want("then", "of 0")
	l.learn(heard(1, 4, 10, 5, 8))
	want("again")
}

// A broker that was away names those who led when it went.
func TestLeadersOfTheirOldEpochAreNotTaken(t *testing.T) {
	var l leaders
	l.learn(heard(1, 4, 7, 5, 7))
	l.learn(heard(1, 3, 6, 6, 8))
	if l.of(0) != 4 || l.of(1) != 6 {
		t.Errorf("leaders %d and %d: want 4 and 6", l.of(0), l.of(1))
	}
	if l.moved(0, 4) || !l.moved(0, 3) || l.moved(2, 1) {
		t.Error("moved says something else")
	}
	l.learn(heard(2, 1, 0, 2, 0))
	if l.of(0) != 1 || l.of(1) != 2 {
		t.Errorf("of another topic %d and %d: want 1 and 2", l.of(0), l.of(1))
	}
	for _, epoch := range []int32{5, 3} {
		if l.learn(heard(0, epoch, epoch, epoch, epoch)); l.of(0) != epoch {
			t.Errorf("of a topic without an id %d: want %d", l.of(0), epoch)
		}
	}
}

// A pause between two tries ends when there is somebody else to ask.
func TestANewLeaderIsNotWaitedFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l := &Log{client: new(client), open: ctx}
	l.client.leaders.learn(heard(1, 4, 7, 5, 7))
	rested := make(chan bool)
	go func() {
		moved, err := l.rest(ctx, 0, 4, 2*testTimeout)
		if err != nil {
			t.Error(err)
		}
		rested <- moved
	}()
	eventually(t, "it rests", func() bool { return underWayAt(l, 0, 4) })
	l.client.leaders.learn(heard(1, 5, 8, 5, 7))
	if !<-rested {
		t.Error("it has not moved")
	}
	if moved, err := l.rest(ctx, 0, 5, time.Millisecond); moved || err != nil {
		t.Errorf("the leader is the same: %v, %v", moved, err)
	}
}
