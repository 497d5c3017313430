package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
	"github.com/crestdb/crest/persistence/reserve"
	"github.com/crestdb/crest/persistence/snapshot"
)

// snapshots joins the engine, which takes snapshots, with the store that keeps
// them and the log that is trimmed behind them.
type snapshots struct {
	partitions []*snapshot.Partition
	where      string // the store, for people
	log        Log
	reserve    *reserve.Reserve
	retention  messages.Micros
	now        func() messages.Micros // the node clock
	logger     *slog.Logger
	// copied: the log may be a copy of another one that went on by itself.
	copied bool
	// kafka is the log if it is a topic of Kafka, else nil: it removes entries as
	// it sees fit, and what it puts aside must not be behind a snapshot.
	kafka *kafka.Log
}

// takePartitions takes every partition over in the store.
func takePartitions(ctx context.Context, core *Core) (*snapshots, error) {
	s := &snapshots{
		log: core.log, reserve: core.reserve, logger: core.cfg.Logger, where: fmt.Sprint(core.objects),
		copied: core.embedded != nil, kafka: core.kafka,
		retention: messages.Micros(core.cfg.LogRetention / time.Microsecond), now: core.clock.Now,
	}
	id := core.log.Identity()
	c := snapshot.DefaultConfig()
	c.Owner, c.Logger = core.cfg.Name, core.cfg.Logger
	if core.ground.Snapshots != nil {
		core.ground.Snapshots(&c)
	}
	store, err := snapshot.New(core.objects, &id, c)
	if err != nil {
		return nil, fmt.Errorf("store of snapshots %s: %w", s.where, err)
	}
	for p := range messages.Partition(id.Partitions) {
		partition, err := store.Take(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("take over partition %d in %s: %w", p, s.where, err)
		}
		s.partitions = append(s.partitions, partition)
	}
	return s, nil
}

// Save implements actors.Snapshots. What the store and the log need no more is
// removed behind it; that it could not be is no failure of the snapshot.
func (s *snapshots) Save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	p := s.partitions[info.Partition]
	if s.kafka != nil {
		if err := s.kafka.Settle(ctx, info.Partition); err != nil {
			return err
		}
	}
	err := s.reserve.Do("a snapshot", func() error {
		err := p.Save(ctx, info, write)
		if err != nil && ctx.Err() == nil {
			// What there is of it would only take room from the next one. That it
			// stays, or that the lease is over, the next operation says as well.
			_, _ = p.Sweep(ctx)
		}
		return err
	})
	if err != nil {
		return owned(err)
	}
	s.reserve.Again()
	return s.tidy(ctx, info.Partition)
}

// Load implements actors.Snapshots. Where the log has been trimmed a snapshot is
// needed that ends in what is left of it: counting from an older one, or from
// nothing, would leave out what lies between.
func (s *snapshots) Load(ctx context.Context, p messages.Partition, read func(*messages.SnapshotInfo, messages.PartReader) error) (bool, error) {
	begins := make(messages.Position, len(s.partitions))
	s.log.Begins(begins)
	found, err := s.partitions[p].Load(ctx, func(info *messages.SnapshotInfo, from messages.PartReader) error {
		if info.Offset < begins[p] {
			return s.trimmed(info.Offset, begins[p])
		}
		if s.copied {
			if err := s.agrees(ctx, info, begins[p]); err != nil {
				return err
			}
		}
		return read(info, from)
	})
	switch {
	case err != nil:
		err = fmt.Errorf("load partition %d: %w", p, owned(err))
	case !found && s.kafka != nil && begins[p] > s.started(p):
		err = fmt.Errorf("load partition %d: %w: there is no snapshot of it in %s, counting began at offset %d, and the topic has been trimmed to %d since. "+
			"Restore a copy of the store; or start over with an empty one, which counts what the topic still has", p, messages.ErrLost, s.where, s.started(p), begins[p])
	case !found && s.kafka == nil && begins[p] > 0:
		err = fmt.Errorf("load partition %d: there is no snapshot of it in %s, and its log was trimmed to offset %d: counting from there would leave out all before. "+
			"Start with the store that belongs to this log, or `crest snapshot restore` a copy of it", p, s.where, begins[p])
	}
	return found, err
}

// started is where counting began in a topic of Kafka.
func (s *snapshots) started(p messages.Partition) messages.Offset {
	all := make(messages.Position, len(s.partitions))
	s.kafka.Started(all)
	return all[p]
}

// trimmed is what is wrong with a snapshot that ends below the log's beginning.
// Kafka removes entries without asking: then that partition fails, and the others
// go on.
func (s *snapshots) trimmed(end, begins messages.Offset) error {
	err := fmt.Errorf("it ends at offset %d, and the log was trimmed to %d: what lies between is in neither", end, begins)
	if s.kafka == nil {
		return err
	}
	return fmt.Errorf("%w: %w", messages.ErrLost, err)
}

// MoveOn implements actors.Snapshots.
func (s *snapshots) MoveOn(ctx context.Context, p messages.Partition, below messages.Offset) error {
	if _, err := s.partitions[p].MoveOn(ctx, below); err != nil {
		return owned(err)
	}
	return s.tidy(ctx, p)
}

// owned says in the engine's words that a partition has another owner.
func owned(err error) error {
	if errors.Is(err, snapshot.ErrFenced) {
		return fmt.Errorf("%w: %w", messages.ErrFenced, err)
	}
	return err
}

// tidy removes what no kept snapshot needs, from the store and from the log.
func (s *snapshots) tidy(ctx context.Context, p messages.Partition) error {
	if _, err := s.partitions[p].Sweep(ctx); err != nil {
		if err = owned(err); errors.Is(err, messages.ErrFenced) {
			return err
		}
		s.logger.Warn("what no snapshot needs could not be removed from the store; it is tried again behind the next one", "partition", p, "error", err)
	}
	// Also if another partition has another owner now: that one says so itself.
	if err := s.trim(ctx); err != nil {
		s.logger.Warn("the log could not be trimmed; it is tried again behind the next snapshot", "error", err)
	}
	return nil
}

// trim gives up what of the log lies below every kept snapshot and was stamped
// longer ago than the retention. Retention is measured by the log's stamps and
// the node clock: so it goes on across restarts, and a step of the wall clock
// that the node clock follows makes it shorter by that; the snapshots do not
// care.
func (s *snapshots) trim(ctx context.Context) error {
	below := make(messages.Position, len(s.partitions))
	s.log.Older(s.now()-s.retention, below)
	for p, partition := range s.partitions {
		if below[p] == 0 {
			continue // nothing of it could go
		}
		oldest, err := partition.Oldest(ctx)
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		below[p] = min(below[p], oldest)
	}
	return s.log.Trim(below)
}
