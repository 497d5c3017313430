package snapshot

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// What is in this file and in verify.go, restore.go and copy.go is for people:
// it needs no log and no secret, and any store.

// inspectInFlight is how many objects are read ahead.
const inspectInFlight = 2

// Listing is what a store has of one partition of one log.
type Listing struct {
	Log        messages.LogID
	Partition  messages.Partition
	Partitions int
	HashKey    string // names the log's hash key
	Epoch      uint64
	Owner      string
	Written    time.Time  // the manifest
	Roots      []RootInfo // the last saved first
	Cursors    map[string]uint64
	// Objects and Bytes are of all roots and parts in the folder, also those that
	// no root names.
	Objects int
	Bytes   int64
	// Err says why there is nothing but Log, Partition, Objects and Bytes: the
	// manifest is missing, or a DamageError.
	Err error
}

// List reads what a store has, by log and partition. Its error says that the
// store could not be looked at.
func List(ctx context.Context, objects objectstore.Store) ([]Listing, error) {
	found, err := folders(ctx, objects, "")
	if err != nil {
		return nil, err
	}
	dec := newDecoder(inspectInFlight)
	defer dec.Close()
	for i := range found {
		l := &found[i]
		p := place{objects: objects, log: l.Log, partition: l.Partition, inFlight: inspectInFlight, dec: dec}
		m, _, err := p.manifest(ctx)
		switch {
		case errors.Is(err, objectstore.ErrNotFound):
			l.Err = p.damage(manifestName, errMissing)
		case isGone(err):
			l.Err = err
		case err != nil:
			return nil, err
		default:
			l.Partitions, l.HashKey = m.Partitions, m.HashKey.String()
			l.Epoch, l.Owner, l.Written, l.Cursors = m.Epoch, m.Owner, m.Written, m.Cursors
			for _, e := range m.distinct() {
				l.Roots = append(l.Roots, p.rootInfo(e))
			}
		}
	}
	return found, nil
}

// folders lists the partitions that have objects below a prefix.
func folders(ctx context.Context, objects objectstore.Store, prefix string) ([]Listing, error) {
	all := map[string]*Listing{}
	err := objects.List(ctx, prefix, func(i objectstore.Info) error {
		log, p, name, ok := parseFolder(i.Key)
		_, isObject := parseName(name)
		if !ok || !isObject && name != manifestName {
			return nil
		}
		folder := folderOf(log, p)
		l := all[folder]
		if l == nil {
			l = &Listing{Log: log, Partition: p}
			all[folder] = l
		}
		if isObject {
			l.Objects++
			l.Bytes += i.Size
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var sorted []Listing
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, *all[folder])
	}
	slices.SortStableFunc(sorted, func(a, b Listing) int {
		return cmp.Or(slices.Compare(a.Log[:], b.Log[:]), cmp.Compare(a.Partition, b.Partition))
	})
	return sorted, nil
}
