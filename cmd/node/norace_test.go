//go:build !race

package node

const raceFactor = 1
