//go:build !linux

package persistence

import "os"

func datasync(f *os.File) error { return f.Sync() }
