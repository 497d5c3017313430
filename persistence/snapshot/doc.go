// Package snapshot keeps the snapshots of a log's partitions in an object
// store: one manifest per partition that names the newest few roots, and roots
// that list immutable parts. FORMAT.md has the keys and the bytes; the bytes
// inside parts are the caller's.
//
// It guarantees, over any store that keeps the promises of package objectstore:
//
//   - A manifest names whole snapshots only: parts are durable before their root
//     is written, the root before the manifest names it.
//   - A Save that returned nil is not lost, whatever fails afterwards, until
//     KeepRoots later ones have taken its place.
//   - A partition has one owner. Taking it over fences the owner before: its
//     next change of the manifest is refused, and so is everything it does from
//     then on (ErrFenced). No clock and no membership takes part in that.
//   - No byte is handed out that differs from what was saved. What is damaged,
//     missing, exchanged or of another log is named, and an older root is read.
//   - Sweep never removes what a root that is named, or may yet be, refers to.
//
// It does not decide when to save, does not look inside parts, and does not
// trim the log: Oldest says how far that may go.
package snapshot
