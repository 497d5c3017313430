//go:build linux || darwin

package persistence

import (
	"fmt"
	"math"
	"syscall"
)

// FreeSpace is the number of bytes that this process may still write into the
// file system that holds dir.
func FreeSpace(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	free := float64(s.Bavail) * float64(s.Bsize)
	return int64(min(free, math.MaxInt64/2)), nil
}
