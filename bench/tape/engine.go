package tape

import (
	"context"
	"log/slog"
	"math"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/messages"
)

// Unbounded is more memory than a stream here takes.
const Unbounded = 1 << 40

// Engine starts one over a log, of which nothing need be released yet. memory
// is the engine's part of the budget. The caller closes it.
func (g *Log) Engine(memory int64, newCore func() actors.Core) (*actors.Engine, error) {
	c := actors.DefaultConfig()
	c.Log, c.Identity, c.Logger = g, g.identity, slog.New(slog.DiscardHandler)
	c.EngineMemory, c.NewCore = memory, newCore
	c.MaxLag = math.MaxUint64 // nobody is refused
	c.Now = func() messages.Micros { return 0 }
	return actors.New(c)
}

// Count releases the first n events and waits until they are counted.
func (g *Log) Count(ctx context.Context, e *actors.Engine, n int) error {
	return e.Await(ctx, g.Release(n))
}
