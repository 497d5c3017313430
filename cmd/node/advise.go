package node

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/crestdb/crest/persistence/reserve"
)

// advise adds to an error of the data folder what a person can do about it.
func advise(cfg *Config, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; crest has to write in its data folder %s: have it mounted read-write and owned by the user that runs crest, or name another one", err, cfg.Data)
	case reserve.IsFull(err):
		return fmt.Errorf("%w; the disk is full: free space on the one that holds %s, and start again", err, cfg.Data)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("%w; raise the limit of open files (ulimit -n, LimitNOFILE=)", err)
	}
	return err
}
