// Package bench holds what the instruments below it share: starting the real
// binary as a process of its own, the main of a tool, tables with their spread, and the lines that
// say on which machine and from which commit a number comes.
//
// The instruments measure crest from outside, through HTTP, as its users see
// it. README.md beside this file says how to repeat a measurement.
package bench
