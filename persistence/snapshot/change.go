package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/crestdb/crest/persistence/objectstore"
)

// changeAttempts bounds how often a change starts again because a write of this
// lease, whose answer was lost, came in between.
const changeAttempts = 16

// change puts a manifest that edit has changed, if this lease still holds. adds
// is the root that it names for the first time, if any. When it returns an
// error other than ErrFenced the change may have happened, or may yet happen.
func (p *Partition) change(ctx context.Context, adds *root, edit func(*manifest)) error {
	release, err := p.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	for range changeAttempts {
		if err := p.settle(ctx, false); err != nil {
			return err
		}
		next := p.manifest.clone()
		p.writes++
		next.Write, next.Written, next.Owner = p.writes, p.store.cfg.stamp(), p.store.cfg.Owner
		edit(next)
		v, err := p.place.putManifest(ctx, next, p.version)
		if err == nil {
			p.adopt(next, v, true)
			return nil
		}
		if errors.Is(err, errTooLarge) {
			return err
		}
		// The put may have happened for all that, or may happen later.
		p.mu.Lock()
		p.unsure = true
		if adds != nil {
			p.doubt = append(p.doubt, adds)
		}
		p.mu.Unlock()
		refused := errors.Is(err, objectstore.ErrChanged)
		current, v, lookErr := p.look(ctx)
		switch {
		case lookErr == nil && !p.wrote(current), refused && isGone(lookErr):
			return p.fence(current)
		case lookErr != nil:
			return fmt.Errorf("put %s: %w (and looking whether it happened: %w)", p.place.key(manifestName), err, lookErr)
		case current.Write == next.Write:
			p.adopt(current, v, true)
			return nil
		case !refused:
			return err
		}
		// A write of ours came late. It is the state to go on from.
	}
	return fmt.Errorf("%s was refused %d times without another owner", p.place.key(manifestName), changeAttempts)
}

// hold waits until nobody else puts the manifest or looks at it.
func (p *Partition) hold(ctx context.Context) (release func(), err error) {
	select {
	case p.putting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := p.failed(); err != nil {
		<-p.putting
		return nil, err
	}
	return func() { <-p.putting }, nil
}

// confirm looks at the manifest: ErrFenced if this lease does not hold.
func (p *Partition) confirm(ctx context.Context) error {
	release, err := p.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return p.settle(ctx, true)
}

// settle looks at the manifest if the answer to the last put was lost, or if it
// has to. It needs putting.
func (p *Partition) settle(ctx context.Context, must bool) error {
	if !p.unsure && !must {
		return nil
	}
	m, v, err := p.place.manifest(ctx)
	switch {
	case err == nil && !p.wrote(m):
		return p.fence(m)
	case errors.Is(err, objectstore.ErrNotFound):
		return p.fence(nil)
	case err != nil:
		return err
	}
	// A put that has not happened yet may still do so.
	p.adopt(m, v, false)
	return nil
}

// look reads the manifest back after a put that failed, also when the caller's
// time is over.
func (p *Partition) look(ctx context.Context) (*manifest, objectstore.Version, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	return p.place.manifest(ctx)
}

// wrote tells whether this lease wrote a manifest.
func (p *Partition) wrote(m *manifest) bool { return m.Nonce == p.nonce }

// adopt goes on from a manifest that is in the store. After a put that
// succeeded nothing that was put before it can come any more.
func (p *Partition) adopt(m *manifest, v objectstore.Version, settled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.manifest, p.version, p.unsure = m, v, false
	if settled {
		p.doubt = nil
	}
}

// fence ends this lease.
func (p *Partition) fence(by *manifest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fenced == nil {
		p.fenced = fmt.Errorf("%w: %s is not this owner's any more", ErrFenced, p.place.key(manifestName))
		if by != nil {
			p.fenced = fencedBy(by)
		}
	}
	return p.fenced
}
