package gateway

import (
	"sync"

	"github.com/crestdb/crest/messages"
)

// boardCache keeps boards encoded, so that one that many ask for is encoded
// once. It is bounded in bytes; when it is full everything goes, since boards
// that are asked for come back at once.
type boardCache struct {
	limit int

	mu      sync.Mutex
	entries map[string]encodedBoard // by what shapes the answer
	bytes   int                     // of keys and bodies
}

// encodedBoard is one board and what it was encoded of. Version stands for
// rows and bounds; the rest may change beneath the same version.
type encodedBoard struct {
	version string
	moment  messages.Moment
	total   messages.Count
	body    []byte
}

func newBoardCache(limit int) *boardCache {
	return &boardCache{limit: limit, entries: map[string]encodedBoard{}}
}

// encoded is the board's body, from the cache or by encode. The body is shared
// and must not be changed. Two who miss at once both encode: cheaper than
// making one wait.
func (c *boardCache) encoded(key string, b *messages.Board, encode func() ([]byte, error)) ([]byte, error) {
	if body := c.get(key, b); body != nil {
		return body, nil
	}
	body, err := encode()
	if err != nil {
		return nil, err
	}
	c.put(key, encodedBoard{version: b.Version, moment: b.Moment, total: b.Total, body: body})
	return body, nil
}

func (c *boardCache) get(key string, b *messages.Board) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || e.version != b.Version || e.moment != b.Moment || e.total != b.Total {
		return nil
	}
	return e.body
}

func (c *boardCache) put(key string, e encodedBoard) {
	size := len(key) + len(e.body)
	if size > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[key]; ok {
		c.bytes -= len(key) + len(old.body)
		delete(c.entries, key)
	}
	if c.bytes+size > c.limit {
		clear(c.entries)
		c.bytes = 0
	}
	c.entries[key] = e
	c.bytes += size
}

// size is how many bytes are kept.
func (c *boardCache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
