package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

// snapshots joins the engine, which takes snapshots, with the store that keeps
// them and the log that is trimmed behind them.
type snapshots struct {
	partitions []*snapshot.Partition
	log        *eventlog.Log
	retention  time.Duration
	logger     *slog.Logger
	objects    io.Closer // the store, if it is to be closed; nil: it is not

	mu sync.Mutex
	// past is where the log ended at moments of this process's life, oldest first;
	// the first is the last one that lies retention back, once there is one.
	past []logEnd
}

type logEnd struct {
	at  time.Time
	end messages.Position
}

// pastMost bounds how many ends are kept; trimming is late by retention/pastMost.
const pastMost = 64

// openSnapshots takes every partition over in the store.
func openSnapshots(ctx context.Context, cfg *Config, ground *Ground, log *eventlog.Log) (s *snapshots, err error) {
	where := cfg.Store
	if where == "" {
		where = "dir:" + filepath.Join(cfg.Data, "store")
	}
	o := objectstore.DefaultConfig()
	o.FS, o.Endpoint, o.Region, o.PathStyle = cfg.FS, cfg.S3Endpoint, cfg.S3Region, cfg.S3Endpoint != ""
	objects, err := objectstore.Open(ctx, where, o)
	if err != nil {
		return nil, fmt.Errorf("open the store of snapshots: %w", err)
	}
	s = &snapshots{log: log, retention: cfg.LogRetention, logger: cfg.Logger}
	if closer, ok := objects.(io.Closer); ok {
		s.objects = closer
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if ground.Objects != nil {
		objects = ground.Objects(objects)
	}
	if err := objectstore.Probe(ctx, objects); err != nil {
		return nil, fmt.Errorf("store of snapshots %s: %w", objects, err)
	}
	id := log.Identity()
	c := snapshot.DefaultConfig()
	c.Owner, c.Logger = cfg.Name, cfg.Logger
	if ground.Snapshots != nil {
		ground.Snapshots(&c)
	}
	store, err := snapshot.New(objects, &id, c)
	if err != nil {
		return nil, fmt.Errorf("store of snapshots %s: %w", objects, err)
	}
	for p := range messages.Partition(id.Partitions) {
		partition, err := store.Take(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("take over partition %d in %s: %w", p, objects, err)
		}
		s.partitions = append(s.partitions, partition)
	}
	return s, nil
}

// close ends the use of the store; no other method may be under way.
func (s *snapshots) close() error {
	if s.objects == nil {
		return nil
	}
	return wrap("close the store of snapshots", s.objects.Close())
}

// Save implements actors.Snapshots. What the store and the log need no more is
// removed behind it; that it could not be is no failure of the snapshot.
func (s *snapshots) Save(ctx context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	p := s.partitions[info.Partition]
	if err := p.Save(ctx, info, write); err != nil {
		return owned(err)
	}
	return s.tidy(ctx, info.Partition)
}

// Load implements actors.Snapshots.
func (s *snapshots) Load(ctx context.Context, p messages.Partition, read func(*messages.SnapshotInfo, messages.PartReader) error) (bool, error) {
	found, err := s.partitions[p].Load(ctx, read)
	if err != nil {
		err = fmt.Errorf("load partition %d: %w", p, owned(err))
	}
	return found, err
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
	if err := s.trim(ctx); err != nil {
		if err = owned(err); errors.Is(err, messages.ErrFenced) {
			return err
		}
		s.logger.Warn("the log could not be trimmed; it is tried again behind the next snapshot", "error", err)
	}
	return nil
}

// trim gives up what of the log lies below every kept snapshot and longer back
// than the retention.
func (s *snapshots) trim(ctx context.Context) error {
	below := s.retained(time.Now())
	for p, partition := range s.partitions {
		if below[p] == 0 {
			continue
		}
		oldest, err := partition.Oldest(ctx)
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		below[p] = min(below[p], oldest)
	}
	return s.log.Trim(below)
}

// retained is where the log ended a retention ago, as far as this process knows.
func (s *snapshots) retained(now time.Time) messages.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.past)
	if n == 0 || now.Sub(s.past[n-1].at) >= s.retention/pastMost {
		end := make(messages.Position, len(s.partitions))
		s.log.Ends(end)
		s.past = append(s.past, logEnd{now, end})
	}
	for len(s.past) > 1 && now.Sub(s.past[1].at) >= s.retention {
		s.past = s.past[1:]
	}
	below := make(messages.Position, len(s.partitions))
	if first := s.past[0]; now.Sub(first.at) >= s.retention {
		copy(below, first.end)
	}
	return below
}
