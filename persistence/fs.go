// Package persistence holds what every store of a node writes through: a file
// system small enough to be imitated whole, so that power losses, full disks
// and failing syncs can be tested (package persistencetest does).
//
// The stores themselves are in the folders below. Nothing here caches,
// retries or orders anything: when a byte is safe is for the store to decide.
package persistence

import "io"

// FS is the part of a file system that a store needs. Names are paths as the
// operating system takes them. Errors are those of package os: a missing file
// is fs.ErrNotExist.
//
// It is declared here and not by each store because File is in its signatures:
// Go has no interface that two packages could declare apart and one type
// satisfy.
type FS interface {
	// MkdirAll makes a folder and its parents, durably.
	MkdirAll(dir string) error
	// Create makes a file, or empties the one that is there, and opens it for
	// reading and writing. Its name is durable after SyncDir.
	Create(name string) (File, error)
	// OpenRead opens a file for reading.
	OpenRead(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename replaces to by from at once; durable after SyncDir.
	Rename(from, to string) error
	// Remove takes a name away; durable after SyncDir.
	Remove(name string) error
	// List is the names in a folder, ascending.
	List(dir string) ([]string, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock that the named file stands for until the
	// result is closed, or the process ends. It does not wait: a lock held by
	// somebody else is an error that names the holder where it is known.
	Lock(name string) (io.Closer, error)
}

// File is an open file. It may be used by several goroutines; writes to the
// same bytes at the same time are the caller's to prevent.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the length in bytes.
	Size() (int64, error)
	// Sync makes what was written durable: bytes, and the length they need,
	// not the name. After an error nothing is known about what is durable,
	// and a later Sync without error proves nothing either.
	Sync() error
}
