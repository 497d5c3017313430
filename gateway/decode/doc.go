// Package decode turns what others wrote into records: the bodies of ingest
// requests (JSON, NDJSON, msgpack) into frames for the log, and the messages of
// other producers in a log (those, protobuf and CloudEvents) into runs of records.
// It is the one place where a client's text is parsed; behind it there are only
// binary records.
//
// It guarantees that what it accepts means the same to every reader: text that
// two parsers could understand differently (invalid UTF-8, lone surrogates,
// duplicate keys, "Topic" for "topic", bytes behind the value) is refused with
// its place and a reason, never guessed at. One wrong event never takes the
// others of its batch along, unless the text itself is broken where nothing
// says where the next event begins.
//
// The scanners are written by hand and allocate nothing per event: a Builder or a
// MessageDecoder owns every buffer and is reused. It belongs to one goroutine at a
// time; what a Builder returns is valid until its next Reset. Reading bodies, size
// limits and answers are the gateway's; the package does no I/O and reads no
// clock.
package decode
