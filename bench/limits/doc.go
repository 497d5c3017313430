// Limits measures what crest promises of single things: how long a board takes
// that nobody has asked for, how the cost of an event grows, how much memory a
// row takes, how long a shard is busy at most. One table: what, what it must be,
// what it aims at, what was measured.
//
//	go run ./bench/limits [flags] [ROW ...]
//
// The rows, all of them if none is named:
//
//	cold     boards nobody has asked for, of all kinds of cells
//	interval boards of windows that are none of the standard ones
//	history  how one topic developed in 24 h, in steps of 20 min
//	growth   CPU per event with more topics, and with more shards
//	memory   bytes of a row that is always active, and of one with one event
//	exact    what is exact with 1 KB of memory per topic
//	hot      one topic against as many events of a million
//	stall    the longest time a shard was busy at a stretch, and what an event
//	         costs with a tenth of the memory, while events come at 200,000 a
//	         second and slices of all lengths end
//
// Everything runs on the engine in this process, over a log in memory, in the
// events' own time. The stream of cold, interval, history and exact, and what
// comes first in stall, is that of bench/peers, but its ages are spread evenly over
// their logarithms, from a second to 31 days: every window has content of its own.
package main
