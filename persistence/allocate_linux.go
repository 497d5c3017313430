package persistence

import (
	"errors"
	"io/fs"
	"syscall"
)

// Allocate takes room for a file of size bytes, which read as zeros, without
// writing them. errors.ErrUnsupported if the file system cannot.
func (f osFile) Allocate(size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return errors.ErrUnsupported
		case err != nil:
			return &fs.PathError{Op: "allocate", Path: f.Name(), Err: err}
		}
		return nil
	}
}
