// Package objectstore keeps whole objects under keys, in a folder or in
// anything that speaks S3's API, and changes them conditionally: what a
// manifest of snapshots needs to have one owner at a time.
//
// A store guarantees that an object is there whole or not at all, that it is
// durable once its put has returned, and that of two conditional puts that
// expect the same state at most one succeeds, whatever processes or machines
// they come from. It does not guarantee that a put whose error is neither
// ErrExists nor ErrChanged did not happen: look before trying again.
package objectstore

import (
	"context"
	"errors"
)

// Store is a set of objects. Keys are relative paths of segments of letters,
// digits, '-', '_' and '.', none of them empty, "." or "..". All methods may be
// called concurrently; errors name the operation and the key.
type Store interface {
	// Put stores an object, over whatever is there.
	Put(ctx context.Context, key string, body []byte) (Version, error)
	// PutIfAbsent stores an object unless there is one: then ErrExists.
	PutIfAbsent(ctx context.Context, key string, body []byte) (Version, error)
	// PutIfMatch replaces an object if it is still of a version; otherwise, and
	// if it is gone, ErrChanged.
	PutIfMatch(ctx context.Context, key string, body []byte, v Version) (Version, error)
	// Get is an object and its version, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, Version, error)
	// GetRange is up to n bytes of an object from offset at on, in a slice of its
	// own; fewer where the object ends. ErrNotFound as Get.
	GetRange(ctx context.Context, key string, at, n int64) ([]byte, error)
	// List calls each for every object whose key begins with prefix, in ascending
	// order of keys, until it returns an error, which List returns. It may miss
	// what is stored or deleted meanwhile.
	List(ctx context.Context, prefix string, each func(Info) error) error
	// Delete takes an object away; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// String is where the objects are, for messages to an operator: a URL as Open
	// takes it, without secrets.
	String() string
}

// Version names one state of an object. It is opaque, never empty, and two
// states of one object never have the same.
type Version string

// Info is an object in a listing.
type Info struct {
	Key  string
	Size int64 // bytes
}

var (
	ErrNotFound = errors.New("no such object")
	ErrExists   = errors.New("the object exists")
	ErrChanged  = errors.New("the object has changed")
)
