// Package workload makes the event streams that the demo and the benchmarks
// feed to crest: views of videos by Zipf's law, over named categories and
// country codes, with flash crowds, a daily rhythm and drifting popularity.
//
// A Stream is a pure iterator: no clock, no goroutine, no I/O. The same Config
// gives the same events, in the same order, at the same stream times, whoever
// asks and however fast. Memory does not grow with the number of topics: what a
// topic is (its id, categories, home region, rhythm) follows from a hash of its
// number.
//
// A Stream belongs to one goroutine. It does not pace itself: an event carries
// the stream time at which it is due, and the caller decides what to do with it.
package workload
