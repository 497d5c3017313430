package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/crestdb/crest/messages"
)

// identity says of which log and partition something is.
type identity struct {
	Log hexID `json:"log"`
	// HashKey names the secret of the log's keyed hashes without giving it away.
	HashKey    hexID              `json:"hash_key"`
	Partitions int                `json:"partitions"`
	Partition  messages.Partition `json:"partition"`
}

// identityOf is that of a partition. The id of the hash key is a keyed hash
// under it, for no other purpose.
func identityOf(id *messages.LogIdentity, p messages.Partition) identity {
	i := identity{Log: hexID(id.ID), Partitions: id.Partitions, Partition: p}
	k0, k1 := id.Subkey("the hash key's id")
	le.PutUint64(i.HashKey[0:], k0)
	le.PutUint64(i.HashKey[8:], k1)
	return i
}

func (i *identity) validate() error {
	if i.Partitions < 1 || i.Partitions > messages.MaxPartitions || int(i.Partition) >= i.Partitions {
		return fmt.Errorf("partition %d of %d is impossible", i.Partition, i.Partitions)
	}
	return nil
}

// check refuses what is of something else, and says of what.
func (i *identity) check(want *identity) error {
	switch {
	case i.Log != want.Log:
		return fmt.Errorf("%w: it is of log %v, not %v", ErrIdentity, i.Log, want.Log)
	case i.Partitions != want.Partitions:
		return fmt.Errorf("%w: its log has %d partitions, not %d", ErrIdentity, i.Partitions, want.Partitions)
	case i.HashKey != want.HashKey:
		return fmt.Errorf("%w: it was made under hash key %v, not %v", ErrIdentity, i.HashKey, want.HashKey)
	case i.Partition != want.Partition:
		return fmt.Errorf("%w: it is of partition %d, not %d", ErrIdentity, i.Partition, want.Partition)
	}
	return nil
}

// manifest is the one object of a partition that changes. What is in it is
// never altered in place: a change is made to a clone.
type manifest struct {
	identity
	Epoch uint64 `json:"epoch"`
	Nonce nonce  `json:"nonce"`
	Owner string `json:"owner"`
	// Write numbers the writes that this lease has tried: by it a lease that lost
	// an answer recognises its own.
	Write   uint64    `json:"write"`
	Written time.Time `json:"written"` // for people only
	// Roots, the last saved first. One may be there more than once (MoveOn).
	Roots   []rootEntry       `json:"roots"`
	Cursors map[string]uint64 `json:"cursors,omitempty"`
}

// rootEntry names a root.
type rootEntry struct {
	Key     string          `json:"key"` // in the partition's folder
	Size    int64           `json:"size"`
	CRC     uint32          `json:"crc"` // as its first line states it
	Offset  messages.Offset `json:"offset"`
	Arrival messages.Micros `json:"arrival"`
	Format  uint32          `json:"format"`
	Saved   time.Time       `json:"saved"`
	Bytes   int64           `json:"bytes"` // stored, of all its parts
}

const (
	manifestVersion = 1
	maxManifest     = 1 << 20
	maxRoots        = 64
	maxCursors      = 256
)

// manifestReaders reads the versions there have been: this one and, once there
// is a version 2, the one before it.
var manifestReaders = map[uint32]func(body []byte) (*manifest, error){1: readManifest1}

func (m *manifest) encode() ([]byte, error) { return seal("manifest", manifestVersion, m) }

func decodeManifest(b []byte) (*manifest, error) {
	body, read, err := unseal("manifest", b, manifestReaders)
	if err != nil {
		return nil, err
	}
	return read(body)
}

func readManifest1(body []byte) (*manifest, error) {
	m := &manifest{}
	if err := parseBody(body, m); err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	if m.Epoch == 0 || len(m.Roots) > maxRoots || len(m.Cursors) > maxCursors {
		return nil, fmt.Errorf("epoch %d, %d roots and %d cursors are impossible", m.Epoch, len(m.Roots), len(m.Cursors))
	}
	for _, e := range m.Roots {
		if n, ok := parseName(e.Key); !ok || n.kind != rootKind || e.Size < 0 || e.Size > maxRoot {
			return nil, fmt.Errorf("root %q of %d bytes is impossible", e.Key, e.Size)
		}
	}
	return m, nil
}

func (m *manifest) clone() *manifest {
	c := *m
	c.Roots = slices.Clone(m.Roots)
	c.Cursors = maps.Clone(m.Cursors)
	return &c
}

// distinct are the roots, each once.
func (m *manifest) distinct() []rootEntry {
	var d []rootEntry
	for _, e := range m.Roots {
		if !slices.ContainsFunc(d, func(o rootEntry) bool { return o.Key == e.Key }) {
			d = append(d, e)
		}
	}
	return d
}

// ErrIdentity is wrapped by errors about what belongs to another log or
// partition, or to one made otherwise.
var ErrIdentity = fmt.Errorf("not of this log")
