// Package actors counts and ranks. Per partition an ingest actor reads the
// log, drops duplicates and combines what it read into deltas; a shard actor
// adds the deltas up in time slices and answers for its topics; a merger
// unions the shards of a node; board actors keep the ranked boards somebody
// asks for. Each actor is a short loop around a plain state machine.
//
// It knows messages only. It declares the log it reads (Log) and satisfies the
// engine that the gateway declares.
package actors
