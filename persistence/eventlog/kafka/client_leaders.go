package kafka

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// leadersPause is how long a broker's word about leaders is not asked for again.
	leadersPause = 100 * time.Millisecond
	// leadersTimeout is how long an answer is waited for.
	leadersTimeout = 2 * time.Second
)

// errMoved ends a request whose broker is not the leader any more: what became of
// it is not known, and nobody waits for that.
var errMoved = errors.New("another broker leads the partition by now")

// leaders are who leads the partitions of the configured topic, as brokers said
// last. A broker that has lost its power or its network says nothing, for as long
// as one waits for it; so whoever asks a leader is told when it is another one.
type leaders struct {
	mu      sync.Mutex
	topic   [16]byte
	by      []int32 // by partition; -1: nobody
	epochs  []int32 // of those
	waiting map[*follower]struct{}
}

// follower is told once, when a partition has another leader than it has asked.
type follower struct {
	partition, asked int32
	tell             func()
}

// of is who leads a partition; -1: nobody, or nobody has said.
func (l *leaders) of(p int32) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ofLocked(p)
}

func (l *leaders) ofLocked(p int32) int32 {
	if p < 0 || int(p) >= len(l.by) {
		return -1
	}
	return l.by[p]
}

// moved tells whether a partition has a leader, and another one than was asked.
func (l *leaders) moved(p, asked int32) bool {
	now := l.of(p)
	return now >= 0 && now != asked
}

// learn takes what a broker said, but for what is older than what is known: one
// that was away names its old leaders until it has caught up.
func (l *leaders) learn(m *topicMeta) {
	for _, f := range l.take(m) {
		f.tell()
	}
}

// take is who is to be told of it.
func (l *leaders) take(m *topicMeta) (told []*follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Epochs of another topic, or of one without an id, cannot be compared.
	same := m.topicID == l.topic && m.topicID != [16]byte{}
	l.topic = m.topicID
	for p := range m.leaders {
		switch {
		case p == len(l.by):
			l.by, l.epochs = append(l.by, m.leaders[p]), append(l.epochs, m.epochs[p])
		case !same || m.epochs[p] >= l.epochs[p]:
			l.by[p], l.epochs[p] = m.leaders[p], m.epochs[p]
		}
	}
	for f := range l.waiting {
		if now := l.ofLocked(f.partition); now >= 0 && now != f.asked {
			delete(l.waiting, f)
			told = append(told, f)
		}
	}
	return told
}

// whenMoved calls f, once, when a partition has another leader than the one asked;
// at once if it has already. That may still happen while stop is called.
func (l *leaders) whenMoved(p, asked int32, f func()) (stop func()) {
	l.mu.Lock()
	if now := l.ofLocked(p); now >= 0 && now != asked {
		l.mu.Unlock()
		f()
		return func() {}
	}
	defer l.mu.Unlock()
	one := &follower{partition: p, asked: asked, tell: f}
	if l.waiting == nil {
		l.waiting = map[*follower]struct{}{}
	}
	l.waiting[one] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, one)
	}
}

// learnLeaders asks the brokers who leads what, unless that was asked just now.
func (c *client) learnLeaders(ctx context.Context) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if time.Since(c.asked) < leadersPause {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.learning)
	defer cancel()
	_, _ = c.metadata(ctx, c.cfg.Topic) // without an answer they are who they were
	c.asked = time.Now()
}
