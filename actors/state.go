package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// state is what a partition's two actors begin with.
type state struct {
	ingest *ingest
	core   Core
	found  bool  // there was a snapshot
	lost   error // why nothing can be counted (messages.ErrLost); nil: it can
}

// load makes the states of all partitions: from their newest snapshots where
// there are any, else empty. The log has to go on where each one ends; that it
// has not been trimmed further is found by reading it. A partition of which it is
// known already that the log has lost what comes next stops here, the others go
// on.
func (e *Engine) load() ([]*state, error) {
	began := time.Now()
	states := make([]*state, len(e.loaded))
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(runtime.GOMAXPROCS(0))
	for p := range states {
		g.Go(func() (err error) {
			states[p], err = e.loadPartition(ctx, messages.Partition(p))
			if errors.Is(err, messages.ErrLost) {
				states[p] = e.empty(messages.Partition(p), nil)
				states[p].lost, err = err, nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		for _, s := range states {
			if s != nil {
				s.ingest.dedup.close()
			}
		}
		return nil, err
	}
	found := 0
	for p, s := range states {
		e.reached = max(e.reached, s.core.Clock())
		if e.loaded[p] = s.ingest.next; s.found {
			found++
		}
	}
	if found > 0 {
		e.cfg.Logger.Info("snapshots loaded", "partitions", found, "of", len(states), "took", time.Since(began).Round(time.Millisecond))
	}
	return states, nil
}

func (e *Engine) loadPartition(ctx context.Context, p messages.Partition) (*state, error) {
	var store RunStore
	if e.cfg.Runs != nil {
		var err error
		if store, err = e.cfg.Runs(p); err != nil {
			return nil, fmt.Errorf("runs of ids of partition %d: %w", p, err)
		}
	}
	if e.cfg.Snapshots != nil {
		var loaded *state
		var ahead error
		found, err := e.cfg.Snapshots.Load(ctx, p, func(info *messages.SnapshotInfo, from messages.PartReader) error {
			if loaded != nil {
				loaded.ingest.dedup.close()
				loaded = nil
			}
			// An older one would be read, and what the log has lost be forgotten.
			if end := e.target[p]; info.Offset > end {
				ahead = fmt.Errorf("the snapshot of partition %d ends at offset %d, the log at %d: it has lost events, or is another one's", p, info.Offset, end)
				return ahead
			}
			s, err := e.read(info, from, store)
			loaded = s
			return err
		})
		switch {
		case ahead != nil:
			err = ahead
		case err == nil && found:
			return loaded, nil
		}
		if err != nil {
			if loaded != nil {
				loaded.ingest.dedup.close()
			}
			return nil, err
		}
	}
	// Runs that are there belong to nothing.
	if err := removeOthers(store, nil); err != nil {
		return nil, err
	}
	return e.empty(p, store), nil
}

// empty is the state before a partition's first entry.
func (e *Engine) empty(p messages.Partition, store RunStore) *state {
	g := newIngest(&e.cfg.Identity)
	if e.cfg.Begins != nil {
		g.next = e.cfg.Begins[p]
	}
	g.dedup = newDedup(micros(g.settings.DedupWindow), store, e.sealers)
	return &state{ingest: g, core: e.cfg.NewCore()}
}

// read makes a state of a snapshot.
func (e *Engine) read(info *messages.SnapshotInfo, from messages.PartReader, store RunStore) (*state, error) {
	if e.cfg.LoadCore == nil {
		return nil, errors.New("this shard's state cannot be loaded")
	}
	g, err := loadIngest(&e.cfg.Identity, info, from, store, e.sealers)
	if err != nil {
		return nil, err
	}
	core, err := e.cfg.LoadCore(from)
	if err != nil {
		g.dedup.close()
		return nil, err
	}
	return &state{ingest: g, core: core, found: true}, nil
}

// status is the end of a delta without rows.
func (g *ingest) status() *window.Delta {
	d := new(window.Delta)
	g.seal(d)
	d.Dedup, d.DedupNext = g.bytes()
	return d
}
