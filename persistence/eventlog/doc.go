// Package eventlog is the embedded log: one commit file for all partitions of
// a node, cut into segments, and the only truth about what was accepted.
//
// What it guarantees:
//
//   - Append returns without error only after the frame is durable, and a
//     frame is in the log whole or not at all.
//   - Nothing can be read before it is durable, so no reader ever applies what
//     a power loss could take back.
//   - Offsets of a partition have no gaps, and a frame's place never changes.
//   - What was durable is there at the next Open, or Open refuses and names
//     the file and the byte. It never guesses, and never leaves frames out.
//   - The first failed write or sync ends the taking of events until a
//     restart; what is durable can still be read.
//
// Appenders encode into the pending group in memory; one goroutine writes each
// group with one write, syncs it once, and publishes it (group commit). A
// second goroutine does once a second what need not be done per group. The
// log's owner is whoever called Open; Close stops and awaits both.
//
// The bytes on disk are described in FORMAT.md, the reasons in
// persistence/DESIGN.md. The log does not look into records, does not judge
// stamps, and keeps everything until Trim is called.
package eventlog
