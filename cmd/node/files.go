package node

import "fmt"

const (
	filesUnknown = 1 << 20
	// filesOwn and filesPerPartition are what the node itself opens: the log and
	// what of it is read back, the store's files, and runs of event ids, each of
	// which stays open.
	filesOwn          = 128
	filesPerPartition = 16
	// minConnections are too few to be of use.
	minConnections = 16
)

// connections is how many connections may be open at once, so that clients
// cannot take the files that the log and the snapshots need.
func connections(most, open, partitions int) (int, error) {
	own := filesOwn + filesPerPartition*partitions
	if open < own+minConnections {
		return 0, fmt.Errorf("the process may have %d files open: want at least %d for %d partitions; raise the limit (ulimit -n, LimitNOFILE=)", open, own+minConnections, partitions)
	}
	return min(most, open-own), nil
}
