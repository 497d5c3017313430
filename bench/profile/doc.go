// Profile makes the profile that the compiler is guided by when it builds
// crest: where a node spends its time when it does what nodes do.
//
//	go run ./bench/profile [-o cmd/crest/default.pgo] [-for 6s]
//	go run ./bench/profile -o cpu.pprof [-memory 64] [-kafka] -- LOADFLAG ... MODE
//	go run ./bench/profile -o cpu.pprof -kafka
//
// Without a mode it goes through a course: events as NDJSON, as msgpack and one
// by one, and boards beside them, on a node that keeps everything and on one
// that has too little memory for that; then a node whose log is a topic of Kafka,
// which counts what others have written there and writes itself. Otherwise the
// arguments are those of bench/load, and the profile is of that alone: for
// whoever looks for what a node spends its time on (go tool pprof cpu.pprof).
// With -kafka alone it is of the course's part with Kafka.
//
// The nodes run in this process, load and broker in others, so that the profile
// has nothing of those. The broker is a Kafka for tests (kfake), so it is in the
// test files of this package, and runs in the binary of its tests.
package main
