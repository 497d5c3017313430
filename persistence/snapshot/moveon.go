package snapshot

import (
	"context"
	"errors"

	"github.com/crestdb/crest/messages"
)

// MoveOn lets go of kept snapshots that begin below an offset, without writing
// a part: the manifest names the newest in their places, and in those of the
// ones that there are too few of. For a quiet partition, whose newest snapshot
// has all there is while its older ones hold on to a log that it shares with
// busier ones. The newest is read whole before that, as nothing stands behind it
// afterwards; it stays even if it lies below the offset. moved is false if there
// was nothing to do.
func (p *Partition) MoveOn(ctx context.Context, below messages.Offset) (moved bool, err error) {
	moved, err = p.moveOn(ctx, below)
	return moved, p.wrap("move roots on", err)
}

func (p *Partition) moveOn(ctx context.Context, below messages.Offset) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	p.mu.Lock()
	keep := p.store.cfg.KeepRoots
	m := p.manifest
	p.mu.Unlock()
	if len(m.Roots) == 0 || !movable(m, below, keep) {
		return false, nil
	}
	newest := m.Roots[0]
	r, err := p.place.root(ctx, newest, &p.id)
	if err == nil {
		err = readAll(ctx, &p.place, r)
	}
	if err != nil {
		return false, err
	}
	raced := false
	err = p.change(ctx, nil, func(m *manifest) {
		if raced = len(m.Roots) == 0 || m.Roots[0].Key != newest.Key; raced {
			return
		}
		for i, e := range m.Roots {
			if e.Offset < below {
				m.Roots[i] = newest
			}
		}
		for len(m.Roots) < keep {
			m.Roots = append(m.Roots, newest)
		}
	})
	if err == nil && raced {
		err = errors.New("a snapshot whose fate was not known came in between; try again")
	}
	return err == nil, err
}

// movable tells whether moving on would let go of anything.
func movable(m *manifest, below messages.Offset, keep int) bool {
	if len(m.Roots) < keep {
		return true
	}
	for _, e := range m.Roots {
		if e.Offset < below && e.Key != m.Roots[0].Key {
			return true
		}
	}
	return false
}
