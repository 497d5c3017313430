// Load measures a node under load, through HTTP, as its clients see it.
//
//	go run ./bench/load [flags] [MODE ...]
//
// The modes are
//
//	batch    events per second in durable NDJSON requests: as fast as the
//	         connections allow, or at -rate
//	single   one event per request, from many clients at once
//	visible  from sending an event to its acknowledgement, to its count and to
//	         its place on a board, while -background events/s come in
//	read     boards while -background events/s come in
//
// and all of them if none is named. Each runs -repeat times, each time on a
// fresh node in a folder of its own, unless -addr names a node that runs
// already. A table gives the median of the repeats and the least and greatest.
//
// Whatever has a rate is an open loop: a request that is due is late if nothing
// is free to send it, and its latency counts from when it was due, not from
// when it was sent. So a stall shows in full in the percentiles (no
// coordinated omission).
//
// The generator shares the machine with the node; what it takes is part of
// what is measured.
package main
