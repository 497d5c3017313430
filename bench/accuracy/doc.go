// Accuracy compares a node's boards and counts with the true ones.
//
//	go run ./bench/accuracy [flags] [STREAM ...]
//
// A STREAM is an NDJSON file, .zst too, oldest event first and with a timestamp
// on every event, or the name of a generated stream (see bench/workload); all
// generated ones if none is named. Each is sent to a fresh node that follows
// event time, started for it, unless -addr names one that is empty. At random
// moments of the stream the boards of all standard windows and some cells of
// each kind are compared with counts over the raw events.
//
// The table has a line per window:
//
//	boards     compared
//	recall     share of the true top K that was on the board: mean, and least
//	certified  share of the rows there could be that the board says are proven: mean
//	exact      share of the boards that say they are exact
//	width      of the rows' intervals, upper − lower: median, and 99 of 100
//	max error  greatest |estimate − true| of a row or a count
//	counts     single counts compared
//	false      statements that are not true: a bound, an order, a certificate
//
// With -memory every stream is sent once for each budget, and peers (see
// bench/peers) stand beside at the same memory. With -tables the shards' tables
// are compared without a node.
//
// The exit code is 1 if anything was false: an answer may be inexact and say
// so, but not wrong.
package main
