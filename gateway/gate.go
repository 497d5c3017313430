package gateway

import "sync"

// gate counts the requests being answered, so that a stop can wait for them. A
// sync.WaitGroup will not do: a connection may bring its next request while
// the stop waits.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when the gate is closed and nobody is inside
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter lets a request in unless the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.settleLocked()
}

// close lets nobody in any more and waits until all have left. It is called
// once.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.settleLocked()
	g.mu.Unlock()
	<-g.empty
}

func (g *gate) settleLocked() {
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}
