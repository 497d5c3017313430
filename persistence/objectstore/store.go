// Package objectstore keeps whole objects under keys, in a folder or in
// anything that speaks S3's API, and changes them conditionally: what a
// manifest of snapshots needs to have one owner at a time.
//
// A store guarantees that an object is there whole or not at all, that it is
// durable once its put has returned, and that of two conditional puts that
// expect the same state at most one succeeds, whatever processes or machines
// they come from. ErrExists and ErrChanged mean that a put did not happen. Any
// other error of a put or a delete says nothing about that: it may have
// happened, or may still, so look before trying again. Errors that pass by
// themselves have been tried again already.
//
// An unconditional put may be overtaken by an earlier one of the same key whose
// answer was lost: it is for objects that never have other contents.
package objectstore

import (
	"context"
	"errors"
	"fmt"
)

// Store is a set of objects. Keys are relative paths of segments of letters,
// digits, '-', '_' and '.', none of them empty, "." or "..", MaxKey bytes at
// most; no key is another's folder (a, a/b): servers that keep objects in files
// have no room for both. All methods may be called concurrently; bodies belong to the caller
// again when a method returns; errors name the operation and the key.
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

// Version names one state of an object. It is opaque and never empty. Two
// states of one object never have the same, unless their bodies are the same
// too: S3 derives it from the body. Who must tell such states apart puts
// something that never repeats into the body.
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
	// ErrDamaged: what is there is not what was put, and has no version. Get and
	// the conditional puts of a store that notices wrap it; Put replaces it.
	ErrDamaged = errors.New("damaged")
)

// MaxKey is the length of the longest key in bytes: a file's name in a folder,
// and in S3 room for a prefix.
const MaxKey = 240

// CheckKey says what is wrong with a key.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes: want 1 to %d", len(key), MaxKey)
	}
	start := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			if !keyByte(key[i]) {
				return fmt.Errorf("key %q: want letters, digits, '-', '_', '.' and '/'", key)
			}
			continue
		}
		if s := key[start:i]; s == "" || s == "." || s == ".." {
			return fmt.Errorf("key %q has a segment %q", key, s)
		}
		start = i + 1
	}
	return nil
}

func keyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// checkRange says what is wrong with the arguments of GetRange.
func checkRange(at, n int64) error {
	if at < 0 || n < 0 {
		return fmt.Errorf("range of %d bytes at %d: want neither negative", n, at)
	}
	return nil
}
