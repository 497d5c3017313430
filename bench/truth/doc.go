// Package truth knows the true answers: it keeps every event it is given, as
// it was sent, and counts them over again for every question. It is slow,
// takes all the memory that takes, and is too simple to be wrong in the ways
// the engine could be.
//
// It says what is false in an answer of crest, and how good the answer was
// where it is allowed to be less than exact. It shares no code with the
// engine.
package truth
