package snapshot

import (
	"context"
	"errors"
	"hash/crc32"
	"io"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

var (
	errMissing  = errors.New("it is missing")
	errNotThose = errors.New("the objects of a part are not those that were written")
)

// Report is what Verify found.
type Report struct {
	Roots   []RootReport
	Objects int   // read, each once
	Bytes   int64 // of them
	// Manifests are those that cannot be used.
	Manifests []*DamageError
}

// RootReport is one kept snapshot.
type RootReport struct {
	Log    messages.LogID
	Root   RootInfo
	Damage []*DamageError // each object of it that cannot be used, by its key
}

// Sound tells whether nothing is damaged.
func (r *Report) Sound() bool {
	for _, root := range r.Roots {
		if len(root.Damage) > 0 {
			return false
		}
	}
	return len(r.Manifests) == 0
}

// Verify reads every byte of every part of every kept snapshot in a store, or
// of one log if it is not nil, and reports what is damaged. Its error says that
// the store could not be looked at. It may run beside an owner: snapshots that
// are replaced meanwhile are left out.
func Verify(ctx context.Context, objects objectstore.Store, log *messages.LogID) (*Report, error) {
	prefix := ""
	if log != nil {
		prefix = hexID(*log).String() + "/"
	}
	found, err := folders(ctx, objects, prefix)
	if err != nil {
		return nil, err
	}
	dec := newDecoder(inspectInFlight)
	defer dec.Close()
	report := &Report{}
	for _, l := range found {
		v := verification{
			place:  place{objects: objects, log: l.Log, partition: l.Partition, inFlight: inspectInFlight, dec: dec},
			report: report, seen: map[partID][]*DamageError{},
		}
		if err := v.partition(ctx); err != nil {
			return nil, err
		}
	}
	return report, nil
}

type verification struct {
	place  place
	report *Report
	seen   map[partID][]*DamageError // what is wrong with parts that were read
	buf    []byte
}

// partID is the same for a part that two roots share.
type partID struct {
	first   string // object
	objects int
	raw     int64
	crc     uint32
}

func (v *verification) partition(ctx context.Context) error {
	m, _, err := v.place.manifest(ctx)
	if errors.Is(err, objectstore.ErrNotFound) {
		err = v.place.damage(manifestName, errMissing)
	}
	var damage *DamageError
	if errors.As(err, &damage) {
		v.report.Manifests = append(v.report.Manifests, damage)
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range m.distinct() {
		r := RootReport{Log: v.place.log, Root: v.place.rootInfo(e)}
		if r.Damage, err = v.root(ctx, e, m); err != nil {
			return err
		}
		if len(r.Damage) > 0 {
			named, err := v.stillNamed(ctx, e)
			if err != nil {
				return err
			}
			if !named {
				continue
			}
		}
		v.report.Roots = append(v.report.Roots, r)
	}
	return nil
}

// stillNamed tells whether a root is kept, or was replaced since.
func (v *verification) stillNamed(ctx context.Context, e rootEntry) (bool, error) {
	m, _, err := v.place.manifest(ctx)
	if err != nil {
		return isGone(err), errUnlessGone(err)
	}
	for _, other := range m.Roots {
		if other.Key == e.Key {
			return true, nil
		}
	}
	return false, nil
}

func errUnlessGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

// root reads a root and all that it has.
func (v *verification) root(ctx context.Context, e rootEntry, m *manifest) ([]*DamageError, error) {
	r, err := v.place.root(ctx, e, &m.identity)
	var damage *DamageError
	if errors.As(err, &damage) {
		return []*DamageError{damage}, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*DamageError
	for _, part := range r.Parts {
		if len(part.Objects) == 0 {
			continue
		}
		id := partID{part.Objects[0].Key, len(part.Objects), part.Raw, part.CRC}
		wrong, ok := v.seen[id]
		if !ok {
			if wrong, err = v.part(ctx, r, part); err != nil {
				return nil, err
			}
			v.seen[id] = wrong
		}
		found = append(found, wrong...)
	}
	return found, nil
}

// part reads the objects of a part one by one, so that each damaged one is
// named, and looks at them as the whole they should be.
func (v *verification) part(ctx context.Context, r *root, p *part) ([]*DamageError, error) {
	var found []*DamageError
	size, crc := int64(0), uint32(0)
	for _, o := range p.Objects {
		raw, err := v.place.object(ctx, v.buf, o)
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			found = append(found, damage)
		case err != nil:
			return nil, err
		}
		v.report.Objects++
		v.report.Bytes += o.Size
		if err == nil {
			v.buf = raw
			size += int64(len(raw))
			crc = crc32.Update(crc, castagnoli, raw)
		}
	}
	if len(found) == 0 && (size != p.Raw || crc != p.CRC) {
		found = append(found, &DamageError{Key: v.place.key(r.Key), Reason: errNotThose})
	}
	return found, nil
}

// readAll reads every part of a root and fails at the first damage.
func readAll(ctx context.Context, p *place, r *root) error {
	parts := newPartReader(ctx, p, r)
	defer parts.close()
	for _, name := range parts.Names() {
		err := parts.Part(name, func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
