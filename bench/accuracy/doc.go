// Accuracy compares a node's boards and counts with the true ones.
//
//	go run ./bench/accuracy [flags] [STREAM ...]
//
// A STREAM is an NDJSON file, .zst too, oldest event first and with a timestamp
// on every event, or the name of a generated stream (see bench/workload). If
// none is named, all generated ones are taken and, with -data, the recorded ones
// of a folder. Each is sent to a fresh node that follows event time, started for
// it, unless -addr names one that is empty. At random moments of the stream the
// boards of all standard windows and some cells of each kind, random ones or
// (-largest) those with the most events, are compared with counts over the raw
// events.
//
// The table has a line per window:
//
//	boards     compared, but for those with nothing to find
//	any …      mean recall of the boards of each kind of cell: the share of the
//	           true top K that was on the board. Where topics tie for the last
//	           place any of them is right
//	least      recall of the worst board
//	strict     mean recall where ties are broken by name, as crest promises
//	certified  share of the rows there could be that the board says are proven: mean
//	exact      share of the boards that say they are exact
//	width      of the rows' intervals, upper − lower: median, and 99 of 100
//	max error  greatest |estimate − true| of a row or a count
//	checks     rows and single counts compared
//	false      statements that are not true: a bound, an order, a certificate
//
// With -memory every stream is sent with each budget, and peers (those of
// bench/peers/counters) stand beside at the same memory. With -tables the tables
// of shards are compared without a node. A budget may then be a share, such as
// 1/10, of what it takes to keep everything: the most that the engine accounts
// for on the way through the whole stream, in as many shards, with nothing
// forgotten.
//
// One command makes the published tables and plots, accuracy.md and
// accuracy-*.svg, anew (about three minutes on two cores):
//
//	go run ./bench/accuracy -report bench/results -data DIR
//
// where DIR has recorded streams. Without -data it is $CREST_DATA, and without
// both they are left out.
//
// The exit code is 1 if anything was false: an answer may be inexact and say
// so, but not wrong.
package main
