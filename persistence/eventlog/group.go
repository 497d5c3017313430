package eventlog

import (
	"github.com/crestdb/crest/messages"
)

const (
	arenaBytes = 1 << 20
	// A frame longer than this gets memory of its own, so that at most a
	// quarter of an arena is left unused.
	ownBytes = arenaBytes / 4
)

// group is the frames that become durable together. Until the committer takes
// it, it is under the log's lock; then it is the committer's; after done it is
// read only.
type group struct {
	parts [][]byte // whole frames in log order; neighbours in memory are one part
	bytes int64
	stamp messages.Micros // the largest of its frames
	taken chan struct{}   // closed when the committer has taken it: there is room again
	done  chan struct{}   // closed when it is durable, or has failed
	err   error           // after done
}

func newGroup() *group {
	return &group{taken: make(chan struct{}), done: make(chan struct{})}
}

// fits tells whether a frame of n bytes may still join.
func (g *group) fits(n int, limit int64) bool { return g.bytes == 0 || g.bytes+int64(n) <= limit }

// join adds an encoded frame.
func (g *group) join(frame []byte, stamp messages.Micros) {
	g.bytes += int64(len(frame))
	g.stamp = max(g.stamp, stamp)
	if k := len(g.parts) - 1; k >= 0 {
		if joined, ok := adjoin(g.parts[k], frame); ok {
			g.parts[k] = joined
			return
		}
	}
	g.parts = append(g.parts, frame)
}

// adjoin is a and b as one slice if b lies right behind a in the same array.
func adjoin(a, b []byte) ([]byte, bool) {
	n := len(a) + len(b)
	if n > cap(a) || &a[:len(a)+1][len(a)] != &b[0] {
		return nil, false
	}
	return a[:n], true
}

// arena hands out memory for encoded frames. What it handed out is never
// handed out again: readers may refer to it for as long as they like.
type arena struct{ free []byte }

// take is n bytes.
func (a *arena) take(n int) []byte {
	if n > len(a.free) {
		a.free = make([]byte, arenaBytes)
	}
	b := a.free[:n] // with the capacity that is left, for adjoin
	a.free = a.free[n:]
	return b
}
