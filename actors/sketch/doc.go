// Package sketch keeps counts of what has no row of its own: count-min
// sketches per time slice, a Bloom filter of keys that ever lost a row, and
// the keyed hashes both are addressed by.
//
// What it guarantees: a sketch never reads below the true count of a key
// (unless it says "saturated", and then it says nothing), a filter never
// forgets a key before its time. How far above the truth they read is stated,
// with its probability, where the sizes are chosen.
//
// Everything here is a plain value of one owner, the shard; there is no
// goroutine, clock or randomness, and nothing is allocated once a slot or a
// filter is there. It knows nothing of slices, rows or windows: the caller
// says which slot stands for which slice, and what floor or certificate
// follows from a reading.
package sketch
