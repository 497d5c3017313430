// Package persistencetest is a file system in memory that behaves as badly as
// a real one may: at a power loss it keeps what was synced and an arbitrary
// part of what was not, at a failed sync it forgets which bytes are on the
// disk, and it fails at a chosen operation.
//
// What a power loss leaves is drawn from a seed: per 4 KiB block the synced
// contents, any later ones, or a mixture of 512-byte sectors, some of them torn;
// per file any length between the synced and the last one, holes reading as
// zeros; per name in a folder the synced or the last meaning, each on its own,
// so that a rename may lose both of its names. That is worse than most file
// systems and disks are, and no worse than what they promise.
//
// It is for tests. It keeps everything in memory and knows no permissions.
package persistencetest
