package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// DamageError says which object cannot be used, and why.
type DamageError struct {
	Key    string // in the store
	Reason error
}

func (e *DamageError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Reason) }
func (e *DamageError) Unwrap() error { return e.Reason }

// place is a partition's folder in a store.
type place struct {
	objects   objectstore.Store
	log       messages.LogID
	partition messages.Partition
	inFlight  int
	dec       *zstd.Decoder
}

func (p *place) key(name string) string { return folderOf(p.log, p.partition) + name }

func (p *place) damage(name string, reason error) error {
	return &DamageError{Key: p.key(name), Reason: reason}
}

// manifest reads the manifest and its version: objectstore.ErrNotFound if there
// is none, a DamageError with its version (if it has one) if it cannot be used.
func (p *place) manifest(ctx context.Context) (*manifest, objectstore.Version, error) {
	b, v, err := p.objects.Get(ctx, p.key(manifestName))
	if errors.Is(err, objectstore.ErrDamaged) {
		return nil, "", p.damage(manifestName, err)
	}
	if err != nil {
		return nil, "", err
	}
	if len(b) > maxManifest {
		return nil, v, p.damage(manifestName, fmt.Errorf("%d bytes are impossible", len(b)))
	}
	m, err := decodeManifest(b)
	if err != nil {
		return nil, v, p.damage(manifestName, err)
	}
	if m.Log != hexID(p.log) || m.Partition != p.partition {
		return nil, v, p.damage(manifestName, fmt.Errorf("%w: it is of log %v, partition %d", ErrIdentity, m.Log, m.Partition))
	}
	return m, v, nil
}

var errTooLarge = errors.New("the manifest would be too large")

// putManifest replaces the manifest of version v; "" if there is to be none.
func (p *place) putManifest(ctx context.Context, m *manifest, v objectstore.Version) (objectstore.Version, error) {
	body, err := m.encode()
	if err == nil && (len(body) > maxManifest || len(m.Cursors) > maxCursors) {
		err = fmt.Errorf("%w: %d bytes, %d cursors", errTooLarge, len(body), len(m.Cursors))
	}
	switch {
	case err != nil:
		return "", err
	case v == "":
		return p.objects.PutIfAbsent(ctx, p.key(manifestName), body)
	default:
		return p.objects.PutIfMatch(ctx, p.key(manifestName), body, v)
	}
}

// whole reads an object of a known size, and tries twice. It never takes more
// memory than that.
func (p *place) whole(ctx context.Context, name string, size int64) ([]byte, error) {
	b, err := p.objects.GetRange(ctx, p.key(name), 0, size+1)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) && ctx.Err() == nil {
		b, err = p.objects.GetRange(ctx, p.key(name), 0, size+1)
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return nil, p.damage(name, errMissing)
	case errors.Is(err, objectstore.ErrDamaged):
		return nil, p.damage(name, err)
	case err != nil:
		return nil, err
	case int64(len(b)) > size:
		return nil, p.damage(name, fmt.Errorf("it is longer than the %d bytes it had", size))
	case int64(len(b)) < size:
		return nil, p.damage(name, fmt.Errorf("it has %d bytes of %d", len(b), size))
	}
	return b, nil
}

// root reads a root that a manifest names.
func (p *place) root(ctx context.Context, e rootEntry, of *identity) (*root, error) {
	b, err := p.whole(ctx, e.Key, e.Size)
	if err != nil {
		return nil, err
	}
	r, err := decodeRoot(b)
	switch {
	case err != nil:
	case r.check(of) != nil:
		err = r.check(of)
	case r.Key != e.Key:
		err = fmt.Errorf("it is another root, %s", r.Key)
	case !r.entry(b).same(e):
		err = errors.New("it is not the one that the manifest names")
	}
	if err != nil {
		return nil, p.damage(e.Key, err)
	}
	return r, nil
}

// object reads an object of a part and appends its raw bytes to dst[:0].
func (p *place) object(ctx context.Context, dst []byte, o *object) ([]byte, error) {
	b, err := p.whole(ctx, o.Key, o.Size)
	if err != nil {
		return nil, err
	}
	name, _ := parseName(o.Key)
	dst, err = decodeObject(dst, b, objectID{hexID(p.log), p.partition, name}, p.dec)
	if err == nil && le.Uint32(b[68:]) != o.CRC {
		err = errors.New("it is not the one that its root names")
	}
	if err != nil {
		return nil, p.damage(o.Key, err)
	}
	return dst, nil
}
