package messages

import "github.com/dchest/siphash"

// Routes says which partition an event goes to. It is an immutable value,
// handed to whoever writes to the log.
type Routes struct {
	partitions uint64
	k0, k1     uint64
	routing    Routing
}

// NewRoutes are the routes of a log.
func NewRoutes(id *LogIdentity) Routes {
	k0, k1 := id.Subkey("partition")
	if id.Routing == RoutingMurmur2 {
		k0, k1 = 0, 0 // all writers agree, whatever their secrets
	}
	return Routes{partitions: uint64(id.Partitions), k0: k0, k1: k1, routing: id.Routing}
}

// Partitions is their number.
func (r Routes) Partitions() int { return int(r.partitions) }

// Of is the partition of a topic, by the log's Routing.
func (r Routes) Of(topic []byte) Partition {
	if r.routing == RoutingMurmur2 {
		return Partition(uint64(murmur2(topic)&0x7fffffff) % r.partitions)
	}
	return Partition(siphash.Hash(r.k0, r.k1, topic) % r.partitions)
}

// Home is the partition whose verdict on an Idempotency-Key decides.
func (r Routes) Home(key string) Partition {
	return Partition(siphash.Hash(r.k0, ^r.k1, []byte(key)) % r.partitions)
}
