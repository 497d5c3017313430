package persistence

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes a file's bytes and its length durable, without its times. A
// signal that interrupts the wait says nothing about the disk: wait again.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
