// Package window is the state of one shard: rows that count topics per cell,
// time slices in tiers, and the running totals of the standard windows.
//
// A Table is a plain state machine: deltas and times in, answers out. It holds
// no goroutine, clock or randomness; one owner calls it. What it counts is a
// pure function of the deltas applied, in any grouping: the order of a delta's
// rows and how far the table has slid ahead never change an answer.
package window
