package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/crestdb/crest/persistence"
)

// secretName is the file in the data folder that has the secret of the hashes,
// where the log itself has no place for it.
const secretName = "kafka.key"

// secret is the one that was given, or the data folder's: 32 bytes, made at
// random with the first start and never changed. Nothing else has it. keep, if it
// is not nil, makes durable one that is new: to be called before anything is made
// under it, and not by a start that is refused.
func (c *Config) secret() (key [32]byte, keep func() error, err error) {
	if c.HashKey != nil {
		return *c.HashKey, nil, nil
	}
	fsys, name := c.fs(), filepath.Join(c.Data, secretName)
	key, err = readSecret(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		_, _ = rand.Read(key[:]) // never fails
		made := key
		return key, func() error { return wrap("keep the secret of the hashes", writeSecret(fsys, name, made[:])) }, nil
	}
	return key, nil, wrap("secret of the hashes", err)
}

func readSecret(fsys persistence.FS, name string) (key [32]byte, err error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return key, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return key, err
	}
	if size != int64(len(key)) {
		return key, fmt.Errorf("%s has %d bytes: want %d; put a copy of it back", name, size, len(key))
	}
	_, err = f.ReadAt(key[:], 0)
	return key, err
}

// writeSecret writes it whole or not at all.
func writeSecret(fsys persistence.FS, name string, key []byte) error {
	temp := name + ".new"
	f, err := fsys.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(key, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}
