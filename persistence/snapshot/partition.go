package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// Partition is the ownership of one partition's snapshots: a lease without a
// term, which ends when somebody else takes over. All its methods may be
// called concurrently; Save, Load, Sweep and MoveOn wait for each other.
type Partition struct {
	store *Store
	place place
	id    identity
	epoch uint64
	nonce nonce

	op      chan struct{} // held by Save, Load, Sweep and MoveOn
	putting chan struct{} // held while the manifest is being put or looked at

	mu sync.Mutex
	// manifest is the last that is known to be in the store, and version its
	// version there. Never newer than what is there, and older only by a write of
	// this lease whose answer was lost, or by another owner's.
	manifest *manifest
	version  objectstore.Version
	fenced   error  // once set, the answer to everything
	writes   uint64 // manifests this lease has tried to put
	seq      uint64 // last used in a name
	// unsure: the answer to the last put of the manifest was lost, so it has to be
	// looked at before it is put again.
	unsure bool
	// doubt are roots in manifests whose put failed: such a put may still happen,
	// until another one has succeeded (then what it expects is gone for ever).
	doubt []*root
	// base is the root that this lease loaded or saved last, with those parts
	// only that are known to be good: what Shared may use again.
	base  *root
	roots map[string]*root // those read or written by this lease, by key
}

// RootInfo is one snapshot, as a manifest names it.
type RootInfo struct {
	Key       string // of the root, in the store
	Partition messages.Partition
	Epoch     uint64 // of the owner that saved it
	Offset    messages.Offset
	Arrival   messages.Micros
	Format    uint32
	Saved     time.Time
	Bytes     int64 // stored, shared parts included
}

func (p *place) rootInfo(e rootEntry) RootInfo {
	n, _ := parseName(e.Key)
	return RootInfo{
		Key: p.key(e.Key), Partition: p.partition, Epoch: n.epoch, Offset: e.Offset,
		Arrival: e.Arrival, Format: e.Format, Saved: e.Saved, Bytes: e.Bytes,
	}
}

// Epoch is how often the partition has been taken over.
func (p *Partition) Epoch() uint64 { return p.epoch }

// Roots are the snapshots that are kept, the last saved first.
func (p *Partition) Roots() []RootInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	var infos []RootInfo
	for _, e := range p.manifest.distinct() {
		infos = append(infos, p.place.rootInfo(e))
	}
	return infos
}

// Oldest is the offset below which no kept snapshot needs the log: it may be
// trimmed so far, and no further. While there are fewer snapshots than are to be
// kept that is 0. A fenced owner gets ErrFenced.
func (p *Partition) Oldest(ctx context.Context) (messages.Offset, error) {
	if err := p.failed(); err != nil {
		return 0, p.wrap("oldest root", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Writes that are not known of only ever take an older root away.
	return oldest(p.manifest, p.store.cfg.KeepRoots), nil
}

func oldest(m *manifest, keep int) messages.Offset {
	if len(m.Roots) < keep {
		return 0
	}
	return slices.MinFunc(m.Roots, func(a, b rootEntry) int {
		if a.Offset < b.Offset {
			return -1
		}
		return 1
	}).Offset
}

// Cursors are what SetCursor has stored, by this owner or those before it.
func (p *Partition) Cursors() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.manifest.Cursors)
}

// SetCursor stores a number under a name in the manifest, durably and fenced
// like a snapshot. It does not wait for a Save.
func (p *Partition) SetCursor(ctx context.Context, name string, value uint64) error {
	err := p.change(ctx, nil, func(m *manifest) {
		if m.Cursors == nil {
			m.Cursors = map[string]uint64{}
		}
		m.Cursors[name] = value
	})
	return p.wrap("set cursor", err)
}

func (p *Partition) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("partition %d: %s: %w", p.id.Partition, what, err)
}

// enter waits until no other operation is under way.
func (p *Partition) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.op <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := p.failed(); err != nil {
		<-p.op
		return nil, err
	}
	return func() { <-p.op }, nil
}

func (p *Partition) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fenced
}

func (p *Partition) nextName(kind string) objectName {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	return objectName{epoch: p.epoch, nonce: p.nonce, seq: p.seq, kind: kind}
}

// keepEntries are a manifest's roots once another has been saved.
func keepEntries(e rootEntry, before []rootEntry, keep int) []rootEntry {
	all := append([]rootEntry{e}, before...)
	return all[:min(keep, len(all))]
}

// isGone tells whether a manifest that should be there is missing or damaged.
func isGone(err error) bool {
	var damage *DamageError
	return errors.Is(err, objectstore.ErrNotFound) || errors.As(err, &damage)
}
