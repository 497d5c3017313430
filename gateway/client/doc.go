// Package client speaks to a crest node over HTTP. It is what the command line
// and the benchmarks use, and it is meant for programs that send events or
// read boards.
//
// Its answers are the types of package api; an answer that is a problem comes
// back as *Error. It keeps connections open and asks once: nothing is retried
// unless a Retry policy was given, and then only what can safely be sent
// again. Every call ends with its context.
package client
