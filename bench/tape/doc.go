// Package tape keeps a seeded stream of events ready, so that making events is
// no part of what is measured: as short records of 16 bytes, and from those as
// request bodies, as a log that an engine reads, and as the truth about any
// cell.
//
// A Tape is read-only once made, and may be shared. It takes about 16 bytes an
// event and 50 a topic; what is encoded from it takes 40 to 110 an event and
// belongs to whoever asked for it.
package tape
