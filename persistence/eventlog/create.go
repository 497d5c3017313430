package eventlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// IdentityFile is the file in a log's folder that holds its identity, the
// secret hash key among it. It never changes: a copy of it, and snapshots, are
// what a log can be made anew from.
const IdentityFile = metaName

// ReadIdentity reads an identity from a log's identity file or a copy of it.
// fs.ErrNotExist if there is none.
func ReadIdentity(fsys persistence.FS, file string) (messages.LogIdentity, error) {
	b, err := readSmall(fsys, file, metaMax)
	if err != nil {
		return messages.LogIdentity{}, fmt.Errorf("read a log's identity: %w", err)
	}
	id, err := decodeMeta(b)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) { // it may have another name than a log's own
		return id, fmt.Errorf("read a log's identity: %s: %s", file, corrupt.Reason)
	}
	return id, err
}

// Create makes a log that has an identity already and begins at starts, one
// offset per partition: what lies below them is in snapshots, and not in this
// log. stamp is the largest of what lies below; no later frame may be stamped
// before it. dir is made if it is not there, and must be empty.
//
// A log with that identity opens with these starts or not at all, whatever
// fails: until Create is done, Open refuses what is there or, where that is
// nothing, makes a log of another identity.
func Create(fsys persistence.FS, dir string, id *messages.LogIdentity, starts messages.Position, stamp messages.Micros) error {
	if err := create(fsys, dir, id, starts, stamp); err != nil {
		return fmt.Errorf("create log %s: %w", dir, err)
	}
	return nil
}

func create(fsys persistence.FS, dir string, id *messages.LogIdentity, starts messages.Position, stamp messages.Micros) (err error) {
	if id.Partitions < 1 || id.Partitions > messages.MaxPartitions || len(starts) != id.Partitions {
		return fmt.Errorf("%d offsets to begin at for %d partitions", len(starts), id.Partitions)
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != lockName && !strings.HasSuffix(name, tempSuffix) {
			return fmt.Errorf("%s is there already: want an empty folder", name)
		}
	}
	// The identity comes last: without it, whatever else is there is refused.
	err = makeSegment(fsys, dir, &header{log: id.ID, synced: headerSize(id.Partitions), stamp: stamp, base: starts}, nil)
	if err == nil {
		err = makeDurable(fsys, dir, id.ID, durableMark{sequence: 1, length: headerSize(id.Partitions)})
	}
	if err == nil {
		err = writeMeta(fsys, dir, id)
	}
	return err
}
