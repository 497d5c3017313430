package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/crestdb/crest/persistence/objectstore"
)

// Swept is what a Sweep has done.
type Swept struct {
	Removed int   // objects
	Bytes   int64 // of them
	Spared  int   // objects that no root is known to name, kept to be safe
}

// Sweep removes the roots and parts of the partition that no kept root names:
// those of snapshots that have been replaced, and of Saves that failed.
//
// The rule. It looks at the manifest first and goes on only if this lease
// holds. An object may be removed if it is of this lease's epoch or an older
// one, and is neither named by the manifest, nor by a root whose put may still
// happen, nor by the root that the next Save may share parts of, nor a part
// such a root lists. That is safe, because at that moment
//
//   - every older lease is fenced, so what it wrote and nobody names can never
//     be named any more;
//   - this lease has no Save under way (they wait for each other);
//   - a later lease has a larger epoch, and shares only parts of roots that the
//     manifest names now or that it writes itself. So a fenced owner that goes
//     on sweeping does no harm either.
//
// While a root that is named cannot be read, its parts are not known: then
// nothing is removed that is of its epoch or older. A listing that leaves things
// out delays their removal, no more.
func (p *Partition) Sweep(ctx context.Context) (Swept, error) {
	swept, err := p.sweep(ctx)
	return swept, p.wrap("sweep", err)
}

func (p *Partition) sweep(ctx context.Context) (Swept, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return Swept{}, err
	}
	defer leave()
	keep, spare, err := p.needed(ctx)
	if err != nil {
		return Swept{}, err
	}
	type candidate struct {
		name objectName
		size int64
	}
	var swept Swept
	var unnamed []candidate
	err = p.place.list(ctx, func(n objectName, i objectstore.Info) error {
		switch {
		case keep[n.String()]:
		case n.epoch > p.epoch || n.epoch <= spare:
			swept.Spared++
		default:
			unnamed = append(unnamed, candidate{n, i.Size})
		}
		return nil
	})
	if err != nil {
		return swept, err
	}
	// Roots first: a root without its parts would only mislead whoever looks for
	// roots without a manifest.
	slices.SortStableFunc(unnamed, func(a, b candidate) int { return -cmp.Compare(a.name.kind, b.name.kind) })
	var errs []error
	for _, c := range unnamed {
		if ctx.Err() != nil {
			return swept, errors.Join(append(errs, ctx.Err())...)
		}
		if err := p.store.objects.Delete(ctx, p.place.key(c.name.String())); err != nil {
			errs = append(errs, err)
			if c.name.kind == rootKind {
				break // its parts stay with it
			}
			continue
		}
		swept.Removed++
		swept.Bytes += c.size
	}
	return swept, errors.Join(errs...)
}

// needed are the names of all that must stay, and the epoch up to which
// everything must.
func (p *Partition) needed(ctx context.Context) (keep map[string]bool, spare uint64, err error) {
	if err := p.confirm(ctx); err != nil {
		return nil, 0, err
	}
	p.mu.Lock()
	entries := p.manifest.distinct()
	roots := slices.Clone(p.doubt)
	if p.base != nil {
		roots = append(roots, p.base)
	}
	known := map[string]*root{}
	for _, e := range entries {
		known[e.Key] = p.roots[e.Key]
	}
	p.mu.Unlock()

	keep = map[string]bool{}
	for _, e := range entries {
		keep[e.Key] = true
		r := known[e.Key]
		if r == nil {
			r, err = p.place.root(ctx, e, &p.id)
			if err != nil {
				var damage *DamageError
				if !errors.As(err, &damage) {
					return nil, 0, err
				}
				n, _ := parseName(e.Key)
				spare = max(spare, n.epoch)
				p.store.cfg.Logger.Warn("a snapshot cannot be read: what it may need stays until it is replaced",
					"partition", p.id.Partition, "snapshot", p.place.key(e.Key), "why", err)
				continue
			}
		}
		roots = append(roots, r)
	}
	for _, r := range roots {
		keep[r.Key] = true
		for _, part := range r.Parts {
			for _, o := range part.Objects {
				keep[o.Key] = true
			}
		}
	}
	return keep, spare, nil
}
