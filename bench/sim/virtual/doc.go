// Package virtual lives through days of whole nodes in seconds: the log, the
// engine, the snapshots and the edge as cmd/node joins them, on a file system in
// memory that forgets what was not synced, in the virtual time of
// testing/synctest, without a socket.
//
// One seed is one configuration and about one day of events, retries, silences
// and bursts, with faults at random points: power losses, kills, disks that fail
// or are full, snapshots that fail, are slow, damaged or gone, clocks that jump,
// another owner in the store. After every step what the node says is compared
// with the obvious way to count the log (actorstest.Recount), with what its
// clients were told, and with brute force.
//
// Requests go through the edge's handler, not to the log: what a client may rely
// on is an answer 200, and between that and the log there are admission, keys in
// flight and the mapping of errors to answers, each of which could lose or double
// an event. What is left out is net/http's server and the kernel; package sim has
// those.
//
// An orderly seed has one thing happen at a time, so everything that it brings
// about follows from the seed alone. In the others requests, snapshots and faults
// meet at the same moment, and which of them comes first is up to the scheduler:
// what is promised there is not the course of events but that the outcome is
// that of the log.
//
// CREST_SIM_SEEDS=1000 runs many seeds, CREST_SIM_FIRST=n from n on;
// CREST_SIM_HOURS=h makes days shorter or longer. It is all tests; there is
// nothing to import.
package virtual
