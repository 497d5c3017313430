// Package gateway is the edge: everything a client touches. It takes events
// over HTTP, makes frames of them and acknowledges them when the log has them
// durably; it reads questions strictly, asks the engine, and writes the answer
// or a problem that says what to do.
//
// It guarantees that nothing is silently changed or guessed (a parameter it
// does not know is an error), that every wait is bounded, that an address is
// never redirected (topics such as ".." or "a/b" are names like any other),
// and that Run leaves nothing behind.
//
// It counts nothing and stores nothing: the engine and the log are handed in
// (Engine, Log). openapi.yaml describes all it serves; package api has the
// JSON shapes; errors.go is the one place where an error becomes a status.
package gateway
