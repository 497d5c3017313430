package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/crestdb/crest/messages"
)

// Load reads the newest snapshot that can be used: it calls read with one after
// the other, the last saved first, until read returns nil and nothing of what
// it was given was damaged. Each time read begins afresh, and what it made of a
// snapshot before is void. found is false if there are none; if there are and
// none can be used, the error wraps ErrUnreadable and names what is wrong with
// each. What is passed over is logged, a line each.
func (p *Partition) Load(ctx context.Context, read func(*messages.SnapshotInfo, messages.PartReader) error) (found bool, err error) {
	found, err = p.load(ctx, read)
	return found, p.wrap("load snapshot", err)
}

func (p *Partition) load(ctx context.Context, read func(*messages.SnapshotInfo, messages.PartReader) error) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	p.mu.Lock()
	entries := p.manifest.distinct()
	p.mu.Unlock()
	var all []error
	for i, e := range entries {
		err := p.loadRoot(ctx, e, read)
		if err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, err
		}
		all = append(all, fmt.Errorf("snapshot %s: %w", p.place.key(e.Key), err))
		if i+1 < len(entries) {
			p.store.cfg.Logger.Error("a snapshot cannot be used: reading the one before it, and more of the log behind that",
				"partition", p.id.Partition, "snapshot", p.place.key(e.Key), "offset", e.Offset, "why", err,
				"next", p.place.key(entries[i+1].Key), "next_offset", entries[i+1].Offset)
		}
	}
	if len(entries) == 0 {
		return false, nil
	}
	return false, fmt.Errorf("%w: %w", ErrUnreadable, errors.Join(all...))
}

func (p *Partition) loadRoot(ctx context.Context, e rootEntry, read func(*messages.SnapshotInfo, messages.PartReader) error) error {
	r, err := p.place.root(ctx, e, &p.id)
	if err != nil {
		return err
	}
	parts := newPartReader(ctx, &p.place, r)
	err = read(r.info(), parts)
	parts.close()
	if parts.err != nil {
		err = parts.err // also if read takes no notice
	}
	if err != nil {
		return err
	}
	good := *r
	good.Parts = parts.good
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roots[r.Key] = r
	p.base = &good
	return nil
}
