// Package input reads files of events: NDJSON, CSV and msgpack, plain or
// compressed with gzip or zstd (told apart by their first bytes, so standard
// input works too), one event at a time and in constant memory.
//
// It hands events over as a server takes them. NDJSON and msgpack pass through
// byte by byte: the server alone judges them. A line of CSV becomes a line of
// NDJSON. What cannot be an event of its format by its shape (a line beyond
// all bounds, a row with too few fields) is handed over as a rejection with its
// line, and reading goes on; what makes the rest unreadable ends it.
//
// It sends nothing and knows no server. A File belongs to one goroutine, but
// for Read.
package input
