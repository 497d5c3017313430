package gateway

import (
	"context"

	"github.com/crestdb/crest/messages"
)

// Engine answers questions about what was counted. Every answer refers to one
// moment and is immutable, and so is a query, which many may share. A query with After waits for it until the context
// ends and then fails with messages.ErrBehind.
type Engine interface {
	Counter

	Board(ctx context.Context, q *messages.BoardQuery) (*messages.Board, error)
	Counts(ctx context.Context, q *messages.CountQuery) (*messages.Counts, error)
	Rank(ctx context.Context, q *messages.RankQuery) (*messages.Rank, error)
	Series(ctx context.Context, q *messages.SeriesQuery) (*messages.Series, error)
	Topics(ctx context.Context, q *messages.TopicsQuery) (*messages.Topics, error)
	Cells(ctx context.Context, q *messages.CellsQuery) (*messages.Cells, error)

	// Ledger has an entry per partition, in order.
	Ledger(ctx context.Context) ([]messages.Ledger, error)
	Status(ctx context.Context) (*messages.EngineStatus, error)

	// Snapshot takes a snapshot of every partition that has something new and
	// returns when they are durable. With an error come those that were taken.
	Snapshot(ctx context.Context) ([]messages.Snapshot, error)

	// Settings are those in force as of what is counted.
	Settings() messages.Settings
	// Ready is nil once everything that was in the log at the start is counted; else
	// messages.ErrNotReady with how far it is. Once that is over it is
	// messages.ErrPartition if a partition has failed: then what does not need it is
	// answered all the same.
	Ready() error
	// EngineTime is the end of a window asked for now; 0 before the first event
	// of an event clock.
	EngineTime() messages.Micros
}
