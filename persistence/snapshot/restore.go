package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// Choice says which snapshot of a partition is meant.
type Choice struct {
	Log       messages.LogID
	Partition messages.Partition
	// Root is the key of its root, or the last segment of it. Empty: the newest
	// that is whole.
	Root string
	// AtMost, if not 0, leaves out snapshots of a larger offset.
	AtMost messages.Offset
	// Owner stands in the manifest, for people.
	Owner string
}

func (c *Choice) admits(e rootEntry) bool {
	return (c.Root == "" || path.Base(c.Root) == e.Key) && (c.AtMost == 0 || e.Offset <= c.AtMost)
}

// Restore makes a snapshot the one that Load reads first: it reads it whole and
// puts a manifest, of an epoch more, that names it and those before it. Newer
// ones are let go of. Whoever owns the partition is fenced by that.
//
// If the manifest is missing or damaged it makes one from the roots that are
// there, as far as they are whole. Then the node should be stopped first.
func Restore(ctx context.Context, objects objectstore.Store, c Choice) (RootInfo, error) {
	info, err := restore(ctx, objects, &c)
	if err != nil {
		return RootInfo{}, fmt.Errorf("restore a snapshot of partition %d in %v: %w", c.Partition, objects, err)
	}
	return info, nil
}

func restore(ctx context.Context, objects objectstore.Store, c *Choice) (RootInfo, error) {
	dec := newDecoder(inspectInFlight)
	defer dec.Close()
	p := &place{objects: objects, log: c.Log, partition: c.Partition, inFlight: inspectInFlight, dec: dec}
	m, v, err := p.known(ctx)
	if err != nil {
		return RootInfo{}, err
	}
	at, _, err := p.choose(ctx, m, c)
	if err != nil {
		return RootInfo{}, err
	}
	m.Roots, m.Nonce = m.Roots[at:], newNonce()
	if err := p.install(ctx, m, v, c.Owner); err != nil {
		return RootInfo{}, err
	}
	return p.rootInfo(m.Roots[0]), nil
}

// choose finds the newest root that is meant and whole, and its place in the
// manifest.
func (p *place) choose(ctx context.Context, m *manifest, c *Choice) (int, *root, error) {
	var errs []error
	for i, e := range m.Roots {
		if !c.admits(e) {
			continue
		}
		r, err := p.root(ctx, e, &m.identity)
		if err == nil {
			err = readAll(ctx, p, r)
		}
		if err == nil {
			return i, r, nil
		}
		errs = append(errs, fmt.Errorf("snapshot %s: %w", p.key(e.Key), err))
	}
	if len(errs) > 0 {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnreadable, errors.Join(errs...))
	}
	return 0, nil, fmt.Errorf("%w: none of %d that are kept", ErrNoSuchSnapshot, len(m.distinct()))
}

// ErrNoSuchSnapshot is wrapped by errors about a snapshot that is not there.
var ErrNoSuchSnapshot = errors.New("there is no such snapshot")

// known is the manifest, or one made from the roots that are whole. Its version
// is that of what is there instead; "" if nothing is.
func (p *place) known(ctx context.Context) (*manifest, objectstore.Version, error) {
	m, v, err := p.manifest(ctx)
	if err == nil {
		return m.clone(), v, nil
	}
	if !isGone(err) {
		return nil, "", err
	}
	m, rebuildErr := p.rebuild(ctx)
	if rebuildErr != nil {
		return nil, "", fmt.Errorf("%w (and the manifest: %w)", rebuildErr, err)
	}
	return m, v, nil
}

// rebuild makes a manifest from the roots in the folder that are whole, the last
// saved first.
func (p *place) rebuild(ctx context.Context) (*manifest, error) {
	var names []objectName
	m := &manifest{Epoch: 1}
	err := p.list(ctx, func(n objectName, _ objectstore.Info) error {
		m.Epoch = max(m.Epoch, n.epoch)
		if n.kind == rootKind {
			names = append(names, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b objectName) int {
		return cmp.Or(cmp.Compare(b.epoch, a.epoch), cmp.Compare(b.seq, a.seq))
	})
	var errs []error
	for _, n := range names {
		b, _, err := p.objects.Get(ctx, p.key(n.String()))
		if errors.Is(err, objectstore.ErrDamaged) {
			errs = append(errs, p.damage(n.String(), err))
			continue
		}
		if err != nil {
			return nil, err
		}
		r, err := decodeRoot(b)
		switch {
		case err != nil:
		case r.Log != hexID(p.log) || r.Partition != p.partition || r.Key != n.String():
			err = fmt.Errorf("%w: it is %s of log %v, partition %d", ErrIdentity, r.Key, r.Log, r.Partition)
		case len(m.Roots) > 0:
			err = r.check(&m.identity)
		}
		if err == nil {
			err = readAll(ctx, p, r)
		}
		if err != nil {
			errs = append(errs, p.damage(n.String(), err))
			continue
		}
		m.identity = r.identity
		if len(m.Roots) < maxRoots {
			m.Roots = append(m.Roots, r.entry(b))
		}
	}
	if len(m.Roots) == 0 {
		return nil, errors.Join(append([]error{ErrNoSuchSnapshot}, errs...)...)
	}
	return m, nil
}

// install puts a manifest, under a nonce of its own and of an epoch more, in
// place of version v.
func (p *place) install(ctx context.Context, m *manifest, v objectstore.Version, owner string) error {
	m.Epoch++
	m.Owner, m.Write, m.Written = owner, 1, time.Now().UTC().Truncate(time.Second)
	_, err := p.putManifest(ctx, m, v)
	if errors.Is(err, objectstore.ErrDamaged) {
		err = p.replaceDamaged(ctx, m)
	}
	if err == nil {
		return nil
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	if current, _, lookErr := p.manifest(look); lookErr == nil && current.Nonce == m.Nonce {
		return nil // the answer was lost
	}
	if errors.Is(err, objectstore.ErrChanged) || errors.Is(err, objectstore.ErrExists) {
		return fmt.Errorf("its owner has changed the manifest meanwhile; stop it, or try again: %w", err)
	}
	return err
}

// replaceDamaged puts a manifest in place of one that is so damaged that it has
// no version: nobody else can change that either, other than by restoring.
func (p *place) replaceDamaged(ctx context.Context, m *manifest) error {
	body, err := m.encode()
	if err == nil {
		_, err = p.objects.Put(ctx, p.key(manifestName), body)
	}
	return err
}
