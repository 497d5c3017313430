//go:build race

package node

// raceFactor is how much more memory a process takes under the race detector.
const raceFactor = 6
