package gateway

import (
	"context"
	"sync"

	"github.com/crestdb/crest/messages"
)

// keyTable holds the Idempotency-Keys of requests in flight. A key is in it
// from before its request asks the engine until the key's home partition has
// applied the request's frame, or nothing was appended. So whoever finds a key
// absent can trust the engine's verdict: nothing with that key is on its way.
// It has no bound of its own: an entry belongs to a request, or to a frame
// that is not applied yet, and takes its bytes from the budget.
type keyTable struct {
	mu   sync.Mutex
	keys map[string]*keyFlight
}

// keyFlight is one keyed request from its start until its home has applied it.
type keyFlight struct {
	hash messages.BodyHash
	// landed is closed when it is known whether the frame is in the log; the
	// outcome is set before.
	landed  chan struct{}
	outcome *outcome // nil: nothing was appended, and the key is free again
}

func newKeyTable() *keyTable { return &keyTable{keys: map[string]*keyFlight{}} }

// claim enters a key, or finds the request that has it.
func (t *keyTable) claim(key string, hash messages.BodyHash) (f *keyFlight, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.keys[key]; f != nil {
		return f, false
	}
	f = &keyFlight{hash: hash, landed: make(chan struct{})}
	t.keys[key] = f
	return f, true
}

// land publishes what became of a flight; nil frees the key.
func (t *keyTable) land(key string, f *keyFlight, o *outcome) {
	if o == nil {
		t.free(key)
	}
	f.outcome = o
	close(f.landed)
}

// free removes a key.
func (t *keyTable) free(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, key)
}

// wait is what became of a flight; nil if nothing was appended.
func (f *keyFlight) wait(ctx context.Context) (*outcome, error) {
	select {
	case <-f.landed:
		return f.outcome, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
