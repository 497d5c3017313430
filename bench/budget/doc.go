// Budget says where the time of one event goes, from encoded records to ranked
// windows: nanoseconds by stage, from a CPU profile of the engine alone on one
// core.
//
//	go run ./bench/budget [flags]
//
// It counts -fill of the stream of bench/peers first, so that most topics have
// their rows, then profiles the rest; -rate is how many events a second of their
// own time come. A sample belongs to the stage of the innermost function that one
// of the stages names (see stages.go), the garbage collector's to a stage of its
// own. Shares are of the samples, nanoseconds those shares of the CPU time that
// this process took.
//
// `go tool pprof` reads the profile; -o keeps it for a closer look.
package main
