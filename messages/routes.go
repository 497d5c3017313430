package messages

import "github.com/dchest/siphash"

// Routes says which partition an event goes to. It is an immutable value,
// handed to whoever writes to the log.
type Routes struct {
	partitions uint64
	k0, k1     uint64
}

// NewRoutes are the routes of a log.
func NewRoutes(id *LogIdentity) Routes {
	k0, k1 := id.Subkey("partition")
	return Routes{partitions: uint64(id.Partitions), k0: k0, k1: k1}
}

// Partitions is their number.
func (r Routes) Partitions() int { return int(r.partitions) }

// Of is the partition of a topic: a keyed hash, so nobody outside can aim
// many topics at one partition.
func (r Routes) Of(topic []byte) Partition {
	return Partition(siphash.Hash(r.k0, r.k1, topic) % r.partitions)
}

// Home is the partition whose verdict on an Idempotency-Key decides.
func (r Routes) Home(key string) Partition {
	return Partition(siphash.Hash(r.k0, ^r.k1, []byte(key)) % r.partitions)
}
