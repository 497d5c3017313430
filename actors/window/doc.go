// Package window is the state of one shard: rows that count topics per cell,
// time slices in tiers, and the running totals of the standard windows.
//
// A Table is a plain state machine: deltas and times in, answers out. It holds
// no goroutine, clock or randomness; one owner calls it. What it counts is a
// pure function of the deltas applied, in any grouping: the order of a delta's
// rows and how far the table has slid ahead never change an answer that is exact.
//
// With a bound on its memory rows leave when it is reached, and answers carry
// bounds: lower ≤ true ≤ upper, always (see leave.go, floor.go, hidden.go and whole.go for
// the rules, actors/DESIGN.md for the whole). Which rows leave depends on memory
// and on how deltas were cut; whether bounds are true does not.
package window
