// Package node joins the folders into a running node: the log, the engine and
// the gateway. It reads no flags, environment or files (cmd/crest does) and is
// what benchmarks and simulations start.
//
// It guarantees the order of things: the log is open before the engine reads
// it, the engine has counted all of it before events are taken, and at a stop
// the gateway drains before the engine, and the engine before the log.
package node
