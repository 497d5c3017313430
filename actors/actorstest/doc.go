// Package actorstest judges the engine: the obvious ways to decide what a log
// counts (Recount) and to answer questions about it (Brute). They stay simple
// for ever; the engine is compared with them, never the other way round.
package actorstest
