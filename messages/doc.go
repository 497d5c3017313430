// Package messages is crest's vocabulary: what crosses from one folder to
// another. Frames and records go into the log, positions name places in it,
// queries and answers travel between the gateway and the engine.
//
// It holds plain values and their codecs only: no goroutine, no clock, no I/O.
// A value is immutable once it has been sent, unless its comment names another
// owner (Batch is recycled by its reader). The bytes are described in
// FORMAT.md beside this file.
package messages
