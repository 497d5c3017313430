// Scale drives a node with far more topics than its memory holds, and compares
// what it says with the truth.
//
//	go run ./bench/scale [flags] [SCENARIO ...]
//
// The scenarios, all of them if none is named:
//
//	wide   3,000,000 topics by Zipf's law (1.07), every one of them at least
//	       once, in 200 regions, through --memory 512MiB
//	small  600,000 topics of the same kind through --memory 64MiB
//	riser  30,000,000 topics that never come back, 200 that do, and one among
//	       them that rises slowly, through --memory 64MiB: the worst case
//
// Events are a pure function of their number: nothing is kept of them, and the
// truth is counted by making them again. Their times lie within 35 days, so
// that each tenth of an age holds equally many: every window has its own
// content and millions of events.
//
// It prints resident memory along the way, then, for every window: the board
// of any topic with 100 and 1,000 rows, the boards of the largest regions, the
// counts of random topics and of (topic, region) pairs. The exit code is 1 if
// any statement was false, or the node took more than 1.25 × its budget +
// 150 MiB.
package main
