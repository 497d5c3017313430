//go:build linux || darwin

package node

import "syscall"

// openFiles is how many files and connections the process may have open.
func openFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return filesUnknown
	}
	return int(min(uint64(l.Cur), filesUnknown))
}
