package messages

import "encoding/binary"

// murmur2 is the 32-bit hash that Kafka's Java producer puts keyed records into
// partitions by: Appleby's MurmurHash2 with the seed that Kafka has chosen, the
// bytes read as little-endian words.
func murmur2(b []byte) uint32 {
	const seed, m, r = 0x9747b28c, 0x5bd1e995, 24
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k ^= k >> r
		h = h*m ^ k*m
	}
	if len(b) > 0 {
		var last [4]byte
		copy(last[:], b)
		h = (h ^ binary.LittleEndian.Uint32(last[:])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
