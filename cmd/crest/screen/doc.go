// Package screen draws answers for people: aligned tables, bars, sparklines,
// numbers with separators, and a painter that redraws a terminal in place.
//
// What it is given is text from strangers: control characters never reach the
// terminal, and widths are those of the characters shown, so that wide and
// combining ones keep the columns straight. Functions return lines; only the
// Painter writes.
//
// It asks no node and reads no clock.
package screen
