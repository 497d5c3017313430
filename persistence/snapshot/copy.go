package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// Copy copies a snapshot into another store, every byte checked on the way, and
// makes it the one that Load reads first there, as Restore does. Snapshots of the
// partition that are there already are kept if their offsets are smaller.
// Cursors are taken along.
func Copy(ctx context.Context, from, to objectstore.Store, c Choice) (RootInfo, error) {
	info, err := copySnapshot(ctx, from, to, &c)
	if err != nil {
		return RootInfo{}, fmt.Errorf("copy a snapshot of partition %d from %v to %v: %w", c.Partition, from, to, err)
	}
	return info, nil
}

func copySnapshot(ctx context.Context, from, to objectstore.Store, c *Choice) (RootInfo, error) {
	enc, dec := newEncoder(1), newDecoder(inspectInFlight)
	defer dec.Close()
	src := &place{objects: from, log: c.Log, partition: c.Partition, inFlight: inspectInFlight, dec: dec}
	dst := &place{objects: to, log: c.Log, partition: c.Partition, inFlight: inspectInFlight, dec: dec}
	m, _, err := src.known(ctx)
	if err != nil {
		return RootInfo{}, err
	}
	_, r, err := src.choose(ctx, m, c)
	if err != nil {
		return RootInfo{}, err
	}
	next, v, err := dst.receiver(ctx, m)
	if err != nil {
		return RootInfo{}, err
	}
	encoded, e, err := dst.write(ctx, src, r, next.Epoch+1, next.Nonce, enc)
	if err != nil {
		return RootInfo{}, err
	}
	if _, err := to.Put(ctx, dst.key(e.Key), encoded); err != nil {
		return RootInfo{}, err
	}
	written, err := dst.root(ctx, e, &m.identity)
	if err == nil {
		err = readAll(ctx, dst, written)
	}
	if err != nil {
		return RootInfo{}, err
	}
	var older []rootEntry
	for _, o := range next.Roots {
		if o.Offset < e.Offset {
			older = append(older, o)
		}
	}
	next.Roots = keepEntries(e, older, maxRoots)
	next.Cursors = m.Cursors
	if err := dst.install(ctx, next, v, c.Owner); err != nil {
		return RootInfo{}, err
	}
	return dst.rootInfo(e), nil
}

// write stores the parts of a root that is elsewhere, and returns a root of
// them. They get names of the lease that will name them: those they had may be
// below the epoch of an owner here, who might sweep them away.
func (p *place) write(ctx context.Context, src *place, r *root, epoch uint64, n nonce, enc *zstd.Encoder) ([]byte, rootEntry, error) {
	name := objectName{epoch: epoch, nonce: n}
	next := func(kind string) objectName {
		name.seq++
		name.kind = kind
		return name
	}
	c := *r
	c.Parts = nil
	var raw, stored []byte
	var err error
	for _, from := range r.Parts {
		to := *from
		to.Objects = []*object{}
		for _, o := range from.Objects {
			if raw, err = src.object(ctx, raw, o); err != nil {
				return nil, rootEntry{}, err
			}
			id := objectID{hexID(p.log), p.partition, next(partKind)}
			copied := &object{Key: id.name.String()}
			stored, copied.CRC = encodeObject(stored, id, raw, enc)
			copied.Size = int64(len(stored))
			if _, err := p.objects.Put(ctx, p.key(copied.Key), stored); err != nil {
				return nil, rootEntry{}, err
			}
			to.Objects = append(to.Objects, copied)
		}
		c.Parts = append(c.Parts, &to)
	}
	c.Key = next(rootKind).String()
	encoded, err := c.encode()
	if err != nil {
		return nil, rootEntry{}, err
	}
	return encoded, c.entry(encoded), nil
}

// receiver is the manifest at the place that a snapshot is copied to, or a new
// one, of the lease that will name the copy.
func (p *place) receiver(ctx context.Context, from *manifest) (*manifest, objectstore.Version, error) {
	m, v, err := p.manifest(ctx)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return &manifest{identity: from.identity, Epoch: from.Epoch, Nonce: newNonce()}, "", nil
	case err != nil:
		return nil, "", err
	}
	if err := m.check(&from.identity); err != nil {
		return nil, "", p.damage(manifestName, err)
	}
	m = m.clone()
	m.Epoch, m.Nonce = max(m.Epoch, from.Epoch), newNonce()
	return m, v, nil
}

// Logs are the logs of which a store has snapshots, each once.
func Logs(listings []Listing) []messages.LogID {
	var logs []messages.LogID
	for _, l := range listings {
		if len(logs) == 0 || logs[len(logs)-1] != l.Log {
			logs = append(logs, l.Log)
		}
	}
	return logs
}
