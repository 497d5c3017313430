// Package seen remembers event ids: as a set that takes new ones (Set), and as
// a sorted, immutable run (Run) of which memory holds only a filter and where
// its blocks begin, about one and a half bytes an id, while the ids are in a
// file of whoever reads for it.
//
// What it guarantees: an id that was put in is found; one that was not is not,
// since what the filter lets through is looked up among the ids themselves. A
// block that does not have its checksum is an error, never an answer. A run's
// bytes are a pure function of its ids and of the number of the first.
//
// Ids are keyed fingerprints, so they are spread evenly: places are found by
// scaling them. Ids that are not are found all the same, in more steps.
//
// Everything here is a plain state machine or a value: no goroutine, no clock,
// no file. A Set has one owner; what IDs has given out and every Run may be
// read by any number of goroutines. Which ids belong together, and when they
// are forgotten, is the caller's.
package seen
